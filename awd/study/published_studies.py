"""Published studies: who wrote them, and their numbers. Each number stands in one file only."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from awd.errors import InputError, nearest
from awd.files import is_there
from awd.places import PUBLISHED, data_folders
from awd.study.validation import (
    ADDRESS,
    FILE,
    Model,
    Name,
    Positive,
    Several,
    Text,
    described,
    refuse,
    validate,
)
from awd.study.yaml_text import read_yaml
from awd.vocabulary import Split


class Number(Model):
    """What a study reports of one of its rows on one corpus."""

    row: Name = described("The row, by the name that a suite gives it.")
    corpus: Name
    column: Name = described(
        "Where the study reports several numbers for the row: a word for this one.", "paper"
    )
    train: Positive | None = described("Perplexity on the training text.", None)
    valid: Positive | None = described("Perplexity on the validation text.", None)
    test: Positive | None = described("Perplexity on the test text.", None)
    parameters: Positive | None = None
    seconds_per_epoch: Positive | None = None
    source: Text = described("The table, figure or file of the study that has the numbers.")

    @model_validator(mode="after")
    def _has_a_perplexity(self) -> Self:
        if all(getattr(self, split) is None for split in Split):
            raise refuse("one of train, valid and test is needed")
        return self


class Curves(Model):
    """Learning curves that a study published."""

    file: Annotated[str, StringConstraints(pattern=FILE)] = described(
        "A csv file in this folder with a line for each epoch."
    )
    logs: dict[Name, dict[Name, Text]] = described(
        "Row -> corpus -> value of the file's column log."
    )


class Study(Model):
    """A published study: its citation, numbers and curves."""

    title: Text
    authors: Several[Text]
    venue: Text = described("Where and when it appeared.")
    url: Annotated[str, StringConstraints(pattern=ADDRESS)] | None = None
    read_in: Text = described("The documents in which the numbers were read.")
    numbers: Annotated[list[Number], Field(min_length=1)]
    curves: Curves | None = None

    @property
    def citation(self) -> str:
        """Authors, title and venue in one line."""
        *others, last = self.authors
        authors = f"{', '.join(others)} and {last}" if others else last
        return f"{authors}. {self.title}. {self.venue}."

    def of(self, row: str, corpus: str) -> list[dict]:
        """Return the numbers of a row on a corpus, as a plan holds them."""
        return [
            number.model_dump(exclude={"row"}, exclude_none=True)
            for number in self.numbers
            if (number.row, number.corpus) == (row, corpus)
        ]


def study_file(name: str) -> Path:
    """Return the file of a published study; the user's project wins."""
    return published_file(f"{name}.yaml")


def published_file(name: str) -> Path:
    """Return a file of workflow/published; the one of the user's project wins."""
    first, *own = [folder / name for folder in data_folders(PUBLISHED)]
    return next((path for path in own if is_there(path)), first)


def read_study(name: str, where: str) -> Study:
    """Return the study in workflow/published/{name}.yaml.

    Raises InputError if there is none, which begins with ``where`` it was named, or for a mistake
    in the file.
    """
    path = study_file(name)
    if not is_there(path):
        folders = data_folders(PUBLISHED)
        known = [each.stem for folder in folders for each in folder.glob("[!.]*.yaml")]
        raise InputError(f"{where}: no published study '{name}'; {nearest(name, known)}")
    return validate(Study, read_yaml(path), f"{path.parent.name}/{path.name}")
