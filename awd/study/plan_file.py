"""plans/{suite}.json: resolved suites and their runs, as reports read them."""

from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from awd.study.published_studies import Curves
from awd.study.validation import PATTERN, Model, Name, Positive, validate

RunName = Annotated[str, StringConstraints(pattern=PATTERN)]


class PlannedCorpus(Model):
    """A run's text."""

    name: str
    fingerprint: str


class PlannedRun(Model):
    """A run: its hyperparameters, its text, and the number of parameters if it is known."""

    spec: dict[str, Any]
    corpus: PlannedCorpus
    parameters: int | None


class PlannedSeed(Model):
    """The run of a row with one seed."""

    seed: int
    run: str


class PublishedNumber(Model):
    """What a study reports of a row."""

    corpus: str | None = None
    column: str = "paper"
    train: Positive | None = None
    valid: Positive | None = None
    test: Positive | None = None
    parameters: Positive | None = None
    seconds_per_epoch: Positive | None = None
    source: str


class PlannedRow(Model):
    """A row on one corpus."""

    row: str
    label: str
    corpus: str
    stage: str
    method: str
    runs: list[PlannedSeed]
    changes: dict[str, Any]
    note: str | None
    published: list[PublishedNumber]


class Paper(Model):
    """Who published the study."""

    citation: str
    url: str | None = None


class PlannedSuite(Model):
    """A suite with its rows on every corpus."""

    suite: Name
    title: str
    paper: Paper
    base: str
    notes: list[str]
    figures: list[str]
    curves: Curves | None
    rows: list[PlannedRow]


class PlanFile(Model):
    """The whole file."""

    format: Literal[1]
    awd: str = ""
    scale: str
    recipe: str = ""
    precision: Literal["fp32", "bf16"] = "fp32"
    seeds: list[int]
    runs: dict[RunName, PlannedRun]
    suites: list[PlannedSuite]


def check_plan(content: object, where: str) -> None:
    """Raise InputError, prefixed with ``where``, if ``content`` is no plan."""
    validate(PlanFile, content, where)
