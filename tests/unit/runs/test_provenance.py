"""A record names the commit of this code, whatever git's environment says."""

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import torch

import awd
from awd.runs import provenance

GIT = [*("git", "-c", "user.name=a", "-c", "user.email=a@b"), *("-c", "commit.gpgsign=false")]


def git(folder, *words):
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    done = subprocess.run(
        [*GIT, *words], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(folder):
    folder.mkdir(exist_ok=True)
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A repository whose only commit has this package."""
    folder = make_repository(tmp_path_factory.mktemp("checkout") / "project")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(awd.__file__).parent, folder / "awd", ignore=ignored)
    (folder / ".gitignore").write_text("__pycache__\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "second")
    return folder


def commit(folder: Path, **environment: str) -> str | None:
    """What the package, if it lay in ``folder``, would find with these variables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(awd, "__file__", str(folder / "awd" / "__init__.py"))
        for name, value in environment.items():
            patch.setenv(name, value)
        return provenance.commit.__wrapped__()


def test_the_commit_is_that_of_the_code(checkout):
    assert commit(checkout) == git(checkout, "rev-parse", "--short=10", "HEAD")


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_variables_of_git_do_not_change_it(checkout, tmp_path, variable):
    """A hook of another repository sets them."""
    other = make_repository(tmp_path / "other")
    places = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other}
    places["GIT_INDEX_FILE"] = other / ".git" / "index"
    expected = git(checkout, "rev-parse", "--short=10", "HEAD")
    assert commit(checkout, **{variable: str(places[variable])}) == expected


def test_code_inside_another_project_has_no_commit(checkout, tmp_path):
    """As where it is installed in an environment that lies in a checkout."""
    outer = make_repository(tmp_path / "outer")
    shutil.copytree(checkout / "awd", outer / "environment" / "awd")
    assert commit(outer / "environment") is None


def test_without_git_there_is_no_commit(checkout, tmp_path):
    assert commit(checkout, PATH=str(tmp_path)) is None


def test_a_change_is_marked(checkout, tmp_path):
    changed = Path(shutil.copytree(checkout, tmp_path / "changed"))
    (changed / "awd" / "errors.py").open("a").write("# changed\n")
    assert commit(changed) == commit(checkout) + "+"


def test_a_record_has_devices_versions_and_times():
    record = provenance.provenance(torch.device("cpu"))
    (device,) = record["devices"]
    assert device["kind"] == "cpu"
    assert record["libraries"]["torch"] == torch.__version__
    assert record["awd"] == awd.__version__
    assert datetime.fromisoformat(provenance.now()).utcoffset().total_seconds() == 0
