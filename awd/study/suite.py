"""A suite: one study as data. Its rows, their hyperparameters by corpus, recipe and scale."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from awd.errors import InputError, nearest
from awd.files import is_there
from awd.places import SUITES, data_folders
from awd.study.config import refuse_recipe
from awd.study.methods import Kind, Method, MethodSettings, make_method
from awd.study.published_studies import Study, read_study
from awd.study.settings import Changes, Settings, is_factor, multiplied, stacked
from awd.study.spec import RunSpec, make_spec
from awd.study.tuning import Choice, Range, Space, Value, file_of, read_choices
from awd.study.validation import (
    PATTERN,
    Label,
    Model,
    Name,
    Names,
    Several,
    described,
    refuse,
    validate,
)
from awd.study.yaml_text import read_yaml
from awd.vocabulary import COMBINED, EPOCHS, RESERVED_OF_SUITES

OWN = "A study of this project; nothing was published to compare with."
Figure = Literal[
    "curves",
    "ablation",
    "losses",
    "perplexities",
    "schedules",
    "parameters",
    "cost",
    "frequencies",
    "floor",
]


class Row(Model):
    """One row of the study's table."""

    label: Label = described("What tables and figures call the row.")
    stage: Literal["train", "finetune"] | None = described(
        "The stage whose weights are evaluated: finetune if there is such a stage, else train.",
        None,
    )
    method: Kind = described("How the weights are evaluated.", "stream")
    set: Changes = described(
        "The hyperparameters in which the row differs from the base row.", Changes()
    )
    note: Label | None = described("A footnote in tables.", None)
    published: Name | None = described(
        "The row's name in the published study, where it has another one there.", None
    )


class Scale(Model):
    """What is different at a scale."""

    corpora: Several[Name] = described("The corpora to train on.")
    context: Name | None = described(
        "The corpus whose published numbers are shown beside those of `corpora`, where it is "
        "another one. Rows on other corpora, such as your own, have none.",
        None,
    )
    set: Changes = described("Hyperparameters of all rows.", Changes())
    rows: dict[Name, Changes] = described("Hyperparameters of single rows.", {})
    without: Several[Name] = described("Rows that are left out at this scale.", [])
    tuning: Space = described(
        "What `awd tune` searches: hyperparameter -> {low, high, log} or a list of values. What it "
        "chooses is read from workflow/tuning.",
        {},
    )


class Scales(Model):
    """The scales of a suite; one is enough."""

    demo: Scale | None = described("What is different at scale demo.", None)
    small: Scale | None = described("What is different at scale small.", None)
    paper: Scale | None = described("What is different at scale paper.", None)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.given():
            raise refuse("one of demo, small and paper is needed")
        return self

    def given(self) -> dict[str, Scale]:
        """Return the scales that the suite has, by name."""
        return {name: scale for name, scale in self if scale is not None}


class Suite(Model):
    """A study: rows that differ from a base row, figures, and what was published."""

    title: Label = described("The title of the study's table.")
    published: Names = described(
        "The published studies whose numbers are shown: names of files in workflow/published.", []
    )
    notes: list[Label] = described("Notes below the table.", [])
    seeds: Annotated[int, Field(ge=1, le=100)] = described(
        "The smallest number of seeds that answers the study's question.", 1
    )
    base_seeds: Annotated[int, Field(ge=1, le=100)] | None = described(
        "The smallest number of seeds of the base row. It replaces the configuration's base_seeds, "
        "unless that is 1.",
        None,
    )
    base_row: Name = described("The row to which the others are compared.")
    base: Settings = described("Hyperparameters of all rows.")
    corpora: dict[Name, Changes] = described("Hyperparameters by corpus.", {})
    recipes: dict[Name, dict[Name, Changes]] = described(
        "Other sets of hyperparameters: recipe -> corpus -> hyperparameters.", {}
    )
    rows: Annotated[dict[Name, Row], Field(min_length=1)] = described(
        "The rows of the table, by name: see below."
    )
    figures: Several[Figure] = described("The figures to draw.")
    scales: Scales = described("What differs at each scale, by name; one is enough: see below.")
    _chosen: dict[str, dict[str, dict[str, Choice]]] = PrivateAttr(default_factory=dict)

    @field_validator("base", mode="before")
    @classmethod
    def _has_plain_values(cls, base: object) -> object:
        for key, value in base.items() if isinstance(base, Mapping) else ():
            if is_factor(value):
                raise refuse(
                    f"{key}: '{value}' multiplies the value that base has; base itself needs a "
                    "plain value"
                )
        return base

    @field_validator("recipes")
    @classmethod
    def _have_usable_names(cls, recipes: dict) -> dict:
        for name in recipes:
            refuse_recipe(name)
        return recipes

    @model_validator(mode="after")
    def _has_the_rows_it_names(self) -> Self:
        for place, row in self._named_rows():
            if row not in self.rows:
                raise refuse(f"{place}: no row '{row}'; {nearest(row, self.rows)}")
            if row == self.base_row and place.endswith("without"):
                raise refuse(f"{place}: '{row}' is the base row, to which the others are compared")
        return self

    @model_validator(mode="after")
    def _has_different_labels(self) -> Self:
        rows: dict[str, str] = {}
        for name, row in self.rows.items():
            label = " ".join(row.label.split())
            other = rows.setdefault(label, name)
            if other != name:
                raise refuse(
                    f"rows: '{other}' and '{name}' have the same label '{label}', so nobody could "
                    "tell them apart in tables and figures; give each its own"
                )
        return self

    def _named_rows(self) -> Iterable[tuple[str, str]]:
        yield "base_row", self.base_row
        for name, scale in self.scales.given().items():
            for row in scale.rows:
                yield f"scales.{name}.rows", row
            for row in scale.without:
                yield f"scales.{name}.without", row

    def scale(self, name: str, where: str) -> Scale:
        """Return what is different at the scale called ``name``.

        Raises InputError, prefixed with ``where``, if the suite has no such scale.
        """
        given = self.scales.given()
        if name not in given:
            raise InputError(
                f"{where}: the suite has no scale '{name}'; add scales.{name}, or run it with "
                f"scale={' or scale='.join(given)}"
            )
        return given[name]

    def chosen(self, scale: str, corpus: str, where: str) -> dict[str, Mapping[str, Value]]:
        """Return row -> the settings that a search has chosen for it, those of the base row first.

        A corpus without a search has what was chosen on the scale's first corpus.
        """
        searched = self._chosen.get(scale, {})
        first = self.scale(scale, where).corpora[0]
        choices = searched.get(corpus, searched.get(first, {}))
        return {row: choice.set for row, choice in choices.items()}

    def searched(self, row: str, scale: str, where: str) -> dict[str, Range | list]:
        """Return what `awd tune` searches for a row: not what the row sets itself.

        Raises InputError, prefixed with ``where``, if that is nothing.
        """
        if row not in self.rows:
            raise InputError(f"{where}: no row '{row}'; {nearest(row, self.rows)}")
        special = self.scale(scale, where)
        own = self.rows[row].set.given() | special.rows.get(row, Changes()).given()
        space = {key: what for key, what in special.tuning.items() if key not in own}
        if not space:
            raise InputError(
                f"{where}: there is nothing to search for row '{row}': give ranges under "
                f"scales.{scale}.tuning, such as learning_rate: {{low: 1, high: 100, log: true}}"
            )
        return space

    def specification(
        self,
        row: str,
        scale: str,
        corpus: str,
        recipe: str,
        precision: str,
        where: str,
        chosen: Mapping[str, Mapping[str, Value]] | None = None,
    ) -> tuple[RunSpec, Method]:
        """Return a row's hyperparameters and evaluation; the most specific settings win.

        ``chosen`` replaces what a search has chosen, see `chosen`. Raises InputError, prefixed with
        ``where``, for settings that do not fit together.
        """
        place = f"{where}: row '{row}'"
        if chosen is None:
            chosen = self.chosen(scale, corpus, where)
        given: dict[str, Any] = {"corpus": corpus, "precision": precision}
        layers = self._layers(row, self.scale(scale, where), corpus, recipe, chosen)
        settings = multiplied(*stacked([given, *layers]), place)
        method = make_method(self.rows[row].method, settings, place)
        trained = {key: settings[key] for key in settings.keys() - MethodSettings.model_fields}
        spec = make_spec(trained, place)
        if method.kind != "stream" and spec.reading != "stream":
            raise InputError(
                f"{place}: method '{method.kind}' needs reading 'stream', not '{spec.reading}'"
            )
        if method.kind != "stream" and spec.objective != "next-word":
            raise InputError(
                f"{place}: method '{method.kind}' needs objective 'next-word', "
                f"not '{spec.objective}'"
            )
        return spec, method

    def relative(
        self, row: str, scale: str, corpus: str, recipe: str, where: str
    ) -> dict[str, list[str]]:
        """Return the relative values that a row's hyperparameters result from, by key.

        Raises InputError, prefixed with ``where``, if the suite has no such scale.
        """
        chosen = self.chosen(scale, corpus, where)
        return stacked(self._layers(row, self.scale(scale, where), corpus, recipe, chosen))[1]

    def _layers(
        self,
        row: str,
        special: Scale,
        corpus: str,
        recipe: str,
        chosen: Mapping[str, Mapping[str, Value]],
    ) -> list[Settings | Mapping[str, Value]]:
        """Return all that sets hyperparameters of a row, the most specific last."""
        layers: list[Settings | Mapping[str, Value] | None] = [
            self.base,
            self.corpora.get(corpus),
            self.recipes.get(recipe, {}).get(corpus),
            special.set,
            chosen.get(self.base_row),
            chosen.get(row),
            self.rows[row].set,
            special.rows.get(row),
        ]
        return [layer for layer in layers if layer is not None]

    def published_names(self) -> list[str]:
        """Return the names of the published studies."""
        return [self.published] if isinstance(self.published, str) else self.published

    def studies(self, where: str) -> list[Study]:
        """Read the published studies; raises InputError for one that is missing or wrong."""
        studies = [read_study(name, f"{where}: published") for name in self.published_names()]
        known = {number.row for study in studies for number in study.numbers}
        for name, row in self.rows.items():
            if row.published is not None and row.published not in known:
                raise InputError(
                    f"{where}: rows.{name}.published: no published row '{row.published}'; "
                    f"{nearest(row.published, known)}"
                )
        return studies


def suite_files() -> dict[str, Path]:
    """Return name -> file of the suites there are.

    Hidden files, copies and files with a reserved name are no suites. A suite of the user's project
    replaces one of the same name. Raises InputError if a folder of suites cannot be read.
    """
    folders = data_folders(SUITES)
    try:
        paths = [path for each in folders if is_there(each) for path in sorted(each.iterdir())]
    except OSError as error:
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error
    files = {path.stem: path for path in paths if path.suffix == ".yaml"}
    return {
        name: path
        for name, path in files.items()
        if re.fullmatch(PATTERN, name) and not why_reserved(name, files)
    }


def why_reserved(name: str, others: Collection[str]) -> str | None:
    """Return why no suite can be called ``name`` beside ``others``, None if one can."""
    if name in RESERVED_OF_SUITES:
        return RESERVED_OF_SUITES[name]
    first = name.removesuffix(EPOCHS)
    if first != name and first in others:
        return f"tables/{name}.csv has the epochs of suite '{first}'"
    return None


def read_suite(name: str, where: str) -> tuple[Suite, str]:
    """Return the suite called ``name``, and how messages call its file.

    Raises InputError if there is none, which begins with ``where`` it was named, or for a mistake
    in its file.
    """
    files = suite_files()
    if reason := why_reserved(name, files):
        hint = f"list the suites you want: {','.join(files)}"
        hint = hint if name == COMBINED else "use another name"
        raise InputError(f"{where}: suites: '{name}' is reserved ({reason}); {hint}")
    if name not in files:
        raise InputError(f"{where}: no suite '{name}'; {nearest(name, files)}")
    place = f"{SUITES.name}/{name}.yaml"
    suite = validate(Suite, read_yaml(files[name]), place)
    for scale in suite.scales.given():
        suite._chosen[scale] = read_choices(name, scale)
        for corpus, rows in suite._chosen[scale].items():
            for row in rows:
                if row not in suite.rows:
                    path = file_of(name, scale)
                    raise InputError(
                        f"{path.parent.name}/{path.name}: corpora.{corpus}: no row '{row}'; "
                        f"{nearest(row, suite.rows)}"
                    )
    return suite, place


def citation(studies: list[Study]) -> dict[str, str]:
    """Return citation and address of a suite's study, as a plan holds them."""
    if not studies:
        return {"citation": OWN}
    first = studies[0]
    return {"citation": first.citation} | ({"url": first.url} if first.url else {})
