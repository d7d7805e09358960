"""Where the project keeps its data, and where results go."""

import shlex
from pathlib import Path

from awd.files import is_there

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = (PACKAGE.parent / "workflow" / "Snakefile").is_file()
"""Whether this is a clone of the repository; ``pip install`` copies its data into the package."""
HOME = PACKAGE.parent if CHECKOUT else PACKAGE
OWN_CONFIG = Path("config", "config.yaml")
"""Of a user's project, in its folder."""
CONFIG = HOME / OWN_CONFIG
SNAKEFILE = HOME / "workflow" / "Snakefile"
SUITES = HOME / "workflow" / "suites"
SCHEMAS = HOME / "workflow" / "schemas"
TUNING = HOME / "workflow" / "tuning"
PUBLISHED = HOME / "workflow" / "published"
CAPTIONS = HOME / "workflow" / "report" / "figures"
RESULTS = Path("results")
"""Relative to the folder that a command runs in."""


def project() -> Path:
    """Return the folder of the user's project: this one, or the clone if it lies in the clone.

    A folder in the clone that has a configuration, as .test, is a project of its own. The
    config/config.yaml, workflow/suites and workflow/published of a project add to those of `HOME`.
    """
    here = Path.cwd()
    inside = CHECKOUT and here.is_relative_to(HOME) and not is_there(OWN_CONFIG)
    return HOME if inside else here


def config_file() -> Path:
    """Return the configuration of the user's project, or that of `HOME` if there is none."""
    return OWN_CONFIG if is_there(OWN_CONFIG) else CONFIG


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
