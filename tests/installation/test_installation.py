"""awd in a new environment: planned by the oldest Snakemake, and installed as a copy."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
NOT_FOR_PLANS = {"matplotlib", "scipy", "torch", "seaborn", "pandas"}
"""Large packages that a plan does not import, so they are not installed here."""


def run(*words: object, folder: Path, **environment: str) -> str:
    """What a program prints that must succeed; of its environment ``environment`` is changed."""
    answer = subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


def declared() -> dict[str, str]:
    """Package -> requirement, of what awd needs, the executor for Slurm included."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["slurm"]
    return {re.match(r"[\w-]+", each).group().lower(): each for each in needed}


@pytest.fixture(scope="module")
def oldest(tmp_path_factory) -> tuple[Path, str]:
    """The interpreter of an environment with the oldest Snakemake, and its version."""
    needed = declared()
    version = needed["snakemake"].partition(">=")[2]
    folder = tmp_path_factory.mktemp("oldest")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pins = (HOME / "requirements.txt").read_text(encoding="utf-8").splitlines()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pin for pin in pins if not pin.startswith("snakemake==")))
    words = [each for name, each in needed.items() if name not in NOT_FOR_PLANS | {"snakemake"}]
    words += [f"snakemake=={version}", "--constraint", str(constraints)]
    run(python, "-m", "pip", "install", "--quiet", *words, folder=folder)
    return python, version


def test_the_snakefile_asks_for_the_version_that_the_package_declares(oldest):
    snakefile = (HOME / "workflow" / "Snakefile").read_text(encoding="utf-8")
    assert re.search(r'min_version\("([\d.]+)"\)', snakefile).group(1) == oldest[1]


@pytest.mark.parametrize("profile", [None, "slurm"])
def test_the_oldest_snakemake_plans_as_the_newest_does(oldest, tmp_path, profile):
    """It reads the profiles, too."""
    python, version = oldest
    assert run(python, "-m", "snakemake", "--version", folder=tmp_path).startswith(version)
    words = ["-m", "snakemake", "-s", HOME / "workflow" / "Snakefile", "-n", "--cores", "1"]
    if profile:
        words += ["--executor", "local", "--profile", HOME / "workflow" / "profiles" / profile]
    plans = [
        run(each, *words, "--config", "device=cpu", folder=tmp_path)
        for each in (python, sys.executable)
    ]
    counts = [re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE) for plan in plans]
    assert counts[0] == counts[1]
    assert dict(counts[0])["train"] > "0"
    assert all("workflow/profiles/default" in plan for plan in plans)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with a copy of awd, made from the files of this clone as pip makes it."""
    folder = tmp_path_factory.mktemp("installed")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder=HOME)
    for name in listed.splitlines():
        if not name.startswith(("results/", "tests/", "benchmarks/")) and (HOME / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((HOME / name).read_bytes())
            (folder / "source" / name).chmod((HOME / name).stat().st_mode)
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", folder / "site"]
    run(sys.executable, "-m", "pip", *words, folder / "source", folder=folder)
    return folder / "site"


def test_an_installed_awd_has_its_data_and_its_kernels(installed, tmp_path):
    program = (
        "import awd.places as places; from awd.model.kernels import operators; "
        "from awd.corpora.catalogue import entries; from awd.study.suite import suite_files; "
        "print(places.HOME, operators is not None, len(entries()), len(suite_files()))"
    )
    home, kernels, corpora, suites = run(
        sys.executable, "-c", program, folder=tmp_path, PYTHONPATH=str(installed)
    ).split()
    assert Path(home) == installed / "awd"
    assert kernels == "True"
    assert int(corpora) > 3
    assert int(suites) == len(list((HOME / "workflow" / "suites").glob("*.yaml")))
    for place in ("workflow", "config"):
        files = {path.relative_to(HOME) for path in (HOME / place).rglob("*") if path.is_file()}
        copies = {
            path.relative_to(installed / "awd") for path in (installed / "awd" / place).rglob("*")
        }
        assert {path for path in files if path.suffix != ".md"} <= copies, place
    assert os.access(installed / "awd/workflow/profiles/slurm/bin/sbatch", os.X_OK)


def test_an_installed_awd_runs_a_study_and_packs_it_in_a_folder_of_its_own(installed, tmp_path):
    environment = {"PYTHONPATH": str(installed)}
    awd = (sys.executable, "-m", "awd")
    run(*awd, "new", "suite", "mine", folder=tmp_path, **environment)
    snakefile = run(*awd, "snakefile", folder=tmp_path, **environment).strip()
    suite = tmp_path / "workflow" / "suites" / "mine.yaml"
    suite.write_text(suite.read_text().replace("epochs: 6", "epochs: 1"))
    words = [
        "-s",
        snakefile,
        "--cores",
        "2",
        "--config",
        "suites=mine",
        "base_seeds=1",
        "device=cpu",
    ]
    run(sys.executable, "-m", "snakemake", *words, folder=tmp_path, **environment)
    assert (tmp_path / "results/demo/report.html").is_file()
    said = run(*awd, "pack", "mine.zip", "scale=demo", folder=tmp_path, **environment)
    assert "SHA-256" in said
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert {"LICENSE", "CITATION.cff", "workflow/suites/mine.yaml"} <= set(archive.namelist())
