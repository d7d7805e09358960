"""Evaluation methods and their settings, as suites name them and file names carry them.

A row's method is applied to finished weights, so its settings are not part of a run. They are part
of the evaluation's file name: ``finetune.cache-2000-1-0.1.json``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from awd.errors import InputError, nearest
from awd.study.validation import Model, Whole, described, refuse, validate

Kind = Literal["stream", "cache", "dynamic", "ensemble"]
DIGITS = 24
"""Longest number in a file name."""


def _short(value: float) -> float:
    if len(_positional(value)) > DIGITS:
        raise refuse(f"{value!r} has too many digits to be part of a file name")
    return value


Number = Annotated[float, Field(ge=0, le=1e12), AfterValidator(_short)]


class MethodSettings(Model):
    """Settings of evaluation methods; a method needs its own ones."""

    cache_window: Annotated[Whole, Field(ge=1, le=10**12)] = described(
        "neural cache: how many positions it remembers", None
    )
    cache_theta: Number = described("neural cache: how sharply it prefers similar states", None)
    cache_weight: Annotated[Number, Field(lt=1)] = described(
        "neural cache: its share in the mixture with the model", None
    )
    dynamic_rate: Number = described("dynamic evaluation: step size", None)
    dynamic_decay: Number = described("dynamic evaluation: pull towards the trained weights", None)
    dynamic_epsilon: Number = described("dynamic evaluation: epsilon", None)
    dynamic_bptt: Annotated[Whole, Field(ge=1, le=10**12)] = described(
        "dynamic evaluation: time steps per update", None
    )
    ensemble_size: Annotated[Whole, Field(ge=2, le=1000)] = described(
        "ensemble: how many seeds are averaged, as probabilities", None
    )


SETTINGS = {
    kind: [key for key in MethodSettings.model_fields if key.startswith(f"{kind}_")]
    for kind in get_args(Kind)
}


@dataclass(frozen=True)
class Method:
    """A kind of evaluation with its settings, by the names a suite gives them."""

    kind: str
    settings: Mapping[str, int | float]

    @property
    def name(self) -> str:
        """The method in a file name: its kind and its settings in their order."""
        return "-".join([self.kind, *map(_positional, self.settings.values())])

    @property
    def models(self) -> int:
        """How many models an evaluation combines."""
        return int(self.settings.get("ensemble_size", 1))

    def seeds(self, seed: int) -> range:
        """Return the seeds of the models behind a row's ``seed``.

        The n-th ensemble of k has the k seeds after those of the ensembles before it.
        """
        return range((seed - 1) * self.models + 1, seed * self.models + 1)

    def plain_settings(self) -> dict[str, int | float]:
        """Return the settings by the argument names of the function of this kind."""
        names = {"dynamic_rate": "learning_rate"}
        return {
            names.get(key, key.partition("_")[2]): value for key, value in self.settings.items()
        }


def make_method(kind: str, settings: Mapping, where: str) -> Method:
    """Return the method of this ``kind`` with its part of ``settings``; others are ignored.

    Raises InputError, prefixed with ``where``, for a setting that is missing or not allowed.
    """
    for key in SETTINGS[kind]:
        if key not in settings:
            raise InputError(f"{where}: method '{kind}' needs {key}")
    checked = validate(MethodSettings, {key: settings[key] for key in SETTINGS[kind]}, where)
    return Method(kind, {key: getattr(checked, key) for key in SETTINGS[kind]})


def parse_method(name: str) -> Method:
    """Return the method that a file name carries; raises InputError if it is not one."""
    kind, *values = name.split("-")
    if kind not in SETTINGS:
        raise InputError(f"no evaluation method '{kind}'; {nearest(kind, SETTINGS)}")
    if len(values) != len(SETTINGS[kind]):
        raise InputError(f"method '{name}' must give {', '.join(SETTINGS[kind]) or 'no settings'}")
    try:
        settings = {key: float(value) for key, value in zip(SETTINGS[kind], values, strict=True)}
    except ValueError as error:
        raise InputError(f"method '{name}' has a setting that is not a number") from error
    return make_method(kind, settings, f"method '{name}'")


def _positional(value: float) -> str:
    """Return 0.00002 for 2e-05 and 1 for 1.0: exact, without the minus that separates settings."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
