"""A random search: ranges of hyperparameters, the trials drawn from them, and what was chosen.

Trials are one fixed sequence, so that a larger budget continues a smaller one. Each hyperparameter
of each trial has a random number of its own: rows that are searched with the same ranges try the
same values.
"""

import hashlib
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from awd.errors import InputError, nearest
from awd.files import is_there, write_text
from awd.places import TUNING, data_folders
from awd.study.spec import Hyperparameters, RunSpec
from awd.study.validation import (
    Model,
    Name,
    Positive,
    Several,
    Whole,
    alternative,
    described,
    refuse,
    validate,
)
from awd.study.yaml_text import read_yaml

SEED = 1
"""Of the sequence of trials."""
FIRST_SEED = 1001
"""Seed of the first trial's training. Each trial has another one, and a study has none of them:
else the luck of the chosen trial would be in its results."""
DIGITS = 3
"""Significant digits of drawn numbers."""
NOT_SEARCHED = {
    "finetune_epochs": "trials are not fine-tuned",
    "precision": "the configuration sets it",
}

Value = bool | int | float | str


class Range(Model):
    """The numbers between two bounds, drawn uniformly."""

    low: float = described("The smallest number.")
    high: float = described("The largest number.")
    log: bool = described("Draw the logarithm uniformly, not the number.", False)

    @model_validator(mode="after")
    def _has_numbers(self) -> Self:
        if self.low >= self.high:
            raise refuse(f"low must be below high, not {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise refuse(f"low must be more than 0 where log is true, not {self.low:g}")
        return self


def _fits(space: dict[str, Range | list]) -> dict[str, Range | list]:
    for key, what in space.items():
        if key not in Hyperparameters.model_fields:
            raise refuse(f"no hyperparameter '{key}'; {nearest(key, Hyperparameters.model_fields)}")
        if key in NOT_SEARCHED:
            raise refuse(f"{key} cannot be searched: {NOT_SEARCHED[key]}")
        for value in [what.low, what.high] if isinstance(what, Range) else what:
            try:
                validate(Hyperparameters, {key: value}, "tuning")
            except InputError as error:
                raise refuse(str(error).removeprefix("tuning: ")) from error
    return space


Space = Annotated[
    dict[
        str,
        Annotated[
            Annotated[Range, Tag("<one>")] | Annotated[Several[Value], Tag("<list>")],
            Discriminator(alternative),
        ],
    ],
    AfterValidator(_fits),
]
"""What to search: hyperparameter -> a range of numbers, or a list of values."""


class Trials(Model):
    """The trials that a command asks for."""

    rows: Several[Name] = described("The rows to search for, one after the other.")
    budget: Annotated[Whole, Field(ge=1, le=10_000)] = described("How many trials of each row.")


class Choice(Model):
    """The settings that a search has chosen for a row."""

    search: str = described("Identity of the search: its ranges, and all that it leaves fixed.")
    trials: Annotated[Whole, Field(ge=1)] = described("How many trials it was chosen from.")
    trial: Annotated[Whole, Field(ge=1)] = described("The chosen one.")
    valid_perplexity: Positive = described("The validation perplexity of the chosen trial.")
    set: dict[str, Value] = described("The chosen hyperparameters.")


class Choices(Model):
    """The file of a suite and scale: what was chosen, by corpus and row."""

    corpora: dict[Name, dict[Name, Choice]] = described("corpus -> row -> what was chosen.")


@dataclass(frozen=True)
class Trial:
    """One trial of a row on a corpus: its ``number`` from 1, what it sets, and its run's name."""

    corpus: str
    row: str
    number: int
    search: str
    settings: Mapping[str, Value]
    run: str


def draw(space: Mapping[str, Range | list], number: int) -> dict[str, Value]:
    """Return the settings of trial ``number``: of each key of ``space`` one value."""
    return {
        key: _value(key, what, random.Random(f"{SEED} {number} {key}").random())
        for key, what in sorted(space.items())
    }


def _value(key: str, what: Range | list, share: float) -> Value:
    """Return the value at a ``share`` in [0, 1) of what is searched."""
    if isinstance(what, list):
        return what[int(share * len(what))]
    if Hyperparameters.model_fields[key].annotation is int:
        low, high = int(what.low), int(what.high)
        if what.log:  # each whole number has the numbers from it to the next one
            return min(high, int(low * math.exp(share * math.log((high + 1) / low))))
        return low + int(share * (high + 1 - low))
    if what.log:
        number = what.low * math.exp(share * math.log(what.high / what.low))
    else:
        number = what.low + share * (what.high - what.low)
    return min(max(float(f"{number:.{DIGITS}g}"), what.low), what.high)


def identity(space: Mapping[str, Range | list], spec: RunSpec, fingerprint: str) -> str:
    """Return eight digits that change with the ranges, with what is fixed, and with the text."""
    ranges = {
        key: what.model_dump() if isinstance(what, Range) else what for key, what in space.items()
    }
    fixed = {key: value for key, value in spec.as_dict().items() if key not in space}
    content = json.dumps([ranges, fixed, fingerprint, SEED], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def file_of(suite: str, scale: str) -> Path:
    """Return where the choices for a suite at a scale are; the trials are in a csv file beside."""
    own = own_file(suite, scale)
    return own if is_there(own) else TUNING / own.name


def own_file(suite: str, scale: str) -> Path:
    """Return where a search in the user's project writes its choices."""
    return data_folders(TUNING)[-1] / f"{suite}-{scale}.yaml"


def read_choices(suite: str, scale: str) -> dict[str, dict[str, Choice]]:
    """Return corpus -> row -> what a search has chosen; empty if there was no search.

    Raises InputError for a mistake in the file.
    """
    path = file_of(suite, scale)
    if not is_there(path):
        return {}
    return validate(Choices, read_yaml(path), f"{TUNING.name}/{path.name}").corpora


def write_choices(suite: str, scale: str, choices: Mapping[str, Mapping[str, Choice]]) -> Path:
    """Write the choices of all corpora and rows; return the file."""
    path = own_file(suite, scale)
    content = {
        corpus: {row: choice.model_dump() for row, choice in sorted(rows.items())}
        for corpus, rows in sorted(choices.items())
    }
    head = (
        f"# Written by `awd tune`. The suite reads it; every trial is in {path.stem}.csv. To undo\n"
        "# a choice, delete its entry.\n\n"
    )
    text = yaml.safe_dump({"corpora": content}, sort_keys=False, allow_unicode=True)
    write_text(path, head + text)
    return path


def notes(suite: str, scale: str, choices: Mapping[str, Mapping[str, Choice]]) -> list[str]:
    """Return a sentence for each choice, to stand below the table of a suite that has ranges.

    Without a choice it says so: in a copy of a suite under another name, nothing has been chosen.
    """
    if not choices:
        return [
            f"No search has chosen hyperparameters for scale {scale} of this suite, although it "
            "declares ranges: all have the suite's own values. To search: "
            f"awd tune {suite} ROW scale={scale}."
        ]
    trials = f"workflow/{TUNING.name}/{file_of(suite, scale).stem}.csv"
    return [
        f"{', '.join(sorted(choice.set))} of row '{row}' on {corpus}: chosen by validation "
        f"perplexity among {choice.trials} trials of a random search ({trials})."
        for corpus, rows in sorted(choices.items())
        for row, choice in sorted(rows.items())
    ]
