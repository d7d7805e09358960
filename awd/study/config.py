"""The configuration: what to run, on what, where."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, field_validator
from pydantic_core import PydanticCustomError

from awd.corpora.catalogue import entries
from awd.errors import InputError
from awd.places import CONFIG, config_file
from awd.study.dialect import PRECISIONS
from awd.study.tuning import Trials
from awd.study.validation import (
    FOLDER,
    Model,
    Name,
    Names,
    Several,
    Text,
    alternative,
    described,
    refuse,
    split_at_commas,
)
from awd.study.yaml_text import read_yaml
from awd.vocabulary import DEFAULT, RESERVED


def _numbers(value: object) -> object:
    """Return [1, 2] for ``1,2``."""
    parts = split_at_commas(value)
    if (
        not isinstance(parts, list)
        or parts is value
        or not all(re.fullmatch(r"0|[1-9][0-9]*", part) for part in parts)
    ):
        return value
    return [int(part) for part in parts]


Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Seeds = Annotated[
    Annotated[int, Field(ge=1, le=10_000), Tag("<one>")] | Annotated[Several[Seed], Tag("<list>")],
    Discriminator(alternative),
    BeforeValidator(_numbers),
]


Folder = Annotated[str, StringConstraints(min_length=1, pattern=FOLDER)]


class Config(Model):
    """The keys of config.yaml. One that is left out has its value in awd's own config.yaml."""

    scale: Literal["demo", "small", "paper"] = described(
        "How large: demo (built-in corpus, minutes), small (real corpora, reduced models, about an "
        "hour for each suite) or paper (published hyperparameters and corpora)."
    )
    recipe: Name = described(
        "Which set of hyperparameters: default, or a recipe that a suite defines."
    )
    precision: Literal["fp32", "bf16"] = described(
        "Precision of the operands of matrix products in training."
    )
    suites: Names = described(
        "The studies to run, in the order of tables and page: names of files in workflow/suites."
    )
    corpora: Names = described(
        "The corpora to train on: one or several names, or default (each suite's own)."
    )
    corpus_folders: dict[Name, Text] = described(
        "Your own corpora: name -> folder with train.txt, valid.txt and test.txt."
    )
    minimum_count: Annotated[int, Field(ge=1)] = described(
        "Of your own corpora: words that occur less often in train become <unk>; 1 keeps all."
    )
    mirror: Text | None = described("A folder or URL to look for published corpora first.")
    seeds: Seeds = described("Seeds of each training: a list, or a count (3 means 1, 2 and 3).")
    base_seeds: Annotated[int, Field(ge=1, le=100)] = described(
        "How many seeds a suite's base row has at least, unless seeds is a list: their spread "
        "shows the noise of training, without which no difference has an interval. 1 switches "
        "this off."
    )
    results: Folder = described("The folder of results: relative to the project, or absolute.")
    checkpoints: Folder | None = described(
        "The folder of checkpoints, for example on a fast scratch disk; null: in that of results."
    )
    device: Literal["auto", "cpu", "cuda"] = described(
        "Where to train: auto (a GPU if there is one), cpu or cuda."
    )
    gpu_slots: Annotated[int, Field(ge=1, le=64)] = described(
        "How many jobs share one GPU of this machine."
    )
    checkpoint_minutes: Annotated[float, Field(gt=0)] = described(
        "How much work a stopped training loses at most."
    )
    keep_checkpoints: bool = described("Whether to keep the checkpoints of finished trainings.")
    figure_style: Text | None = described(
        "A style file of matplotlib: fonts, widths and lines of figures; null: the usual style."
    )
    trials: Trials | None = described(
        "Train the trials of a search in place of the study; `awd tune` sets it.", None
    )

    @field_validator("recipe")
    @classmethod
    def _is_no_precision(cls, name: str) -> str:
        if name != DEFAULT:
            refuse_recipe(name)
        return name

    @field_validator("corpus_folders")
    @classmethod
    def _have_names_of_their_own(cls, folders: dict[str, str]) -> dict[str, str]:
        for name in folders:
            if name in RESERVED:
                raise refused_name(name, RESERVED[name])
            if name in entries():
                raise refuse(f"'{name}' is a built-in corpus; use another name")
        return folders

    def seed_list(self, least: int = 1) -> list[int]:
        """Return the seeds: those that are listed, or as many as are counted, or ``least``."""
        if isinstance(self.seeds, list):
            return self.seeds
        return list(range(1, max(self.seeds, least) + 1))

    def base_seed_list(self, least: int, of_suite: int | None) -> list[int]:
        """Return the seeds of a base row: those of all rows, or as many as it needs.

        ``of_suite`` replaces the number that is configured, unless that is 1. A list of seeds is
        exactly these.
        """
        wanted = self.base_seeds if of_suite is None or self.base_seeds == 1 else of_suite
        return self.seed_list(max(least, wanted))


def refused_name(name: str, reason: str) -> PydanticCustomError:
    """Return the error for a ``name`` that has a meaning already."""
    return refuse(f"'{name}' is reserved ({reason}); use another name")


def refuse_recipe(name: str) -> None:
    """Raise the error for a name that is reserved, or whose folder would be a precision's."""
    if name in RESERVED:
        raise refused_name(name, RESERVED[name])
    for precision in PRECISIONS:
        if f"-{name}".endswith(f"-{precision}"):
            raise refused_name(name, f"results/{{scale}}-{precision} is for a precision")


def load_config(path: Path | None = None, overrides: Mapping = {}) -> dict:
    """Return the plain content of a file with ``overrides`` on top; mappings are merged.

    Without ``path`` it is that of the user's project. Keys that it lacks are those of CONFIG.
    Raises InputError if the file cannot be read or is no mapping; a Plan checks the rest.
    """
    path = path or config_file()
    content = {} if path.absolute() == CONFIG else read_config(CONFIG)
    for changes in (read_config(path), overrides):
        for key, value in changes.items():
            old = content.get(key)
            if isinstance(old, dict) and isinstance(value, Mapping):
                content[key] = {**old, **value}
            else:
                content[key] = value
    return content


def read_config(path: Path) -> dict:
    """Return the plain content of ``path`` alone; raises InputError as `load_config` does.

    Of an empty file, or one of comments alone, that is no key.
    """
    content = read_yaml(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: the file must be a mapping, not {type(content).__name__}")
    return content


def parse_config(text: str) -> dict:
    """Return the plain configuration from its JSON, as a job gets it; raises InputError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--settings is not JSON: {error}") from error
