"""Where the project keeps its data, and where results go."""

import shlex
from pathlib import Path

from awd.files import is_there

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = (PACKAGE.parent / "workflow" / "Snakefile").is_file()
"""Whether this is a clone of the repository; ``pip install`` copies its data into the package."""
HOME = PACKAGE.parent if CHECKOUT else PACKAGE
CONFIG = HOME / "config" / "config.yaml"
SNAKEFILE = HOME / "workflow" / "Snakefile"
SUITES = HOME / "workflow" / "suites"
SCHEMAS = HOME / "workflow" / "schemas"
TUNING = HOME / "workflow" / "tuning"
PUBLISHED = HOME / "workflow" / "published"
CAPTIONS = HOME / "workflow" / "report" / "figures"
RESULTS = Path("results")
"""Relative to the folder that a command runs in."""


def project() -> Path:
    """Return the folder of the user's project: the clone, if the command runs in it, or else here.

    Its config/config.yaml, workflow/suites and workflow/published add to those of `HOME`.
    """
    here = Path.cwd()
    return HOME if CHECKOUT and here.is_relative_to(HOME) else here


def config_file() -> Path:
    """Return the configuration of the user's project, or that of `HOME` if there is none."""
    own = CONFIG.relative_to(HOME)
    if project() != Path.cwd():
        own = project() / own
    return own if is_there(own) else CONFIG


def study_command(results: Path, **words: str) -> str:
    """Return the command that runs a study with these words and this folder of results.

    >>> study_command(Path("my results"), scale="demo")
    "snakemake --cores all --config scale=demo 'results=my results'"
    """
    if results != RESULTS:
        words["results"] = str(results)
    config = [f"{key}={value}" for key, value in words.items()]
    return shlex.join(["snakemake", "--cores", "all", *(["--config", *config] if config else [])])


def plan_command(results: Path, **words: str) -> str:
    """Return the command that writes the plan of a study again, and trains nothing.

    >>> plan_command(Path("results"), scale="paper", suites="kim2024")
    'awd plan scale=paper suites=kim2024 --write'
    """
    if results != RESULTS:
        words["results"] = str(results)
    return shlex.join(
        ["awd", "plan", *(f"{key}={value}" for key, value in words.items()), "--write"]
    )


def data_folders(folder: Path) -> list[Path]:
    """Return ``folder`` of workflow/ and, after it, the one of that name in the user's project."""
    own = project()
    return [folder] if own == HOME else [folder, own / "workflow" / folder.name]
