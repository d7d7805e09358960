"""Evaluation methods and their settings, as suites name them and files carry them.

A row's method is applied to weights that are trained anyway, so its settings are no part of a run:
they are part of the evaluation's file name, ``finetune.cache-2000-1-0.1.json``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from awd.errors import InputError, nearest

SETTINGS = {
    "stream": {},
    # Neural cache: positions remembered, flatness theta, share of the cache in the mixture
    "cache": {"cache_window": int, "cache_theta": float, "cache_weight": float},
    # Dynamic evaluation: step size, pull towards the trained weights, epsilon, steps per update
    "dynamic": {
        "dynamic_rate": float,
        "dynamic_decay": float,
        "dynamic_epsilon": float,
        "dynamic_bptt": int,
    },
    # Mean of the probabilities of this many seeds
    "ensemble": {"ensemble_size": int},
}
KEYS = {key: kind for settings in SETTINGS.values() for key, kind in settings.items()}
LEAST = {"cache_window": 1, "dynamic_bptt": 1, "ensemble_size": 2}
MOST = {"ensemble_size": 1000}  # of the others, what keeps file names short
DIGITS = 24


@dataclass(frozen=True)
class Method:
    """A kind of evaluation with its settings, by the names a suite gives them."""

    kind: str
    settings: Mapping[str, int | float]

    @property
    def name(self) -> str:
        """The method in a file name: its kind and its settings in their order."""
        return "-".join([self.kind, *map(_positional, self.settings.values())])

    def plain_settings(self) -> dict[str, int | float]:
        """The settings as the function of this kind names its arguments."""
        names = {"dynamic_rate": "learning_rate"}
        return {
            names.get(key, key.partition("_")[2]): value for key, value in self.settings.items()
        }


def make_method(kind: str, settings: Mapping, where: str) -> Method:
    """The method of this ``kind`` with what it needs from ``settings``; others are ignored.

    Raises InputError, prefixed with ``where``, for a setting that is missing or not allowed.
    """
    chosen = {}
    for key, number in SETTINGS[kind].items():
        if key not in settings:
            raise InputError(f"{where}: method '{kind}' needs {key}")
        value = settings[key]
        least, most = LEAST.get(key, 0), MOST.get(key, 10**12)
        allowed = (int,) if number is int else (int, float)
        if type(value) not in allowed or not least <= value <= most:
            whole = "a whole number" if number is int else "a number"
            raise InputError(
                f"{where}: {key} must be {whole} of at least {least} and at most {most}, "
                f"not {value!r}"
            )
        if len(_positional(value)) > DIGITS:
            raise InputError(
                f"{where}: {key} has too many digits to be part of a file name: {value!r}"
            )
        if key == "cache_weight" and value >= 1:
            raise InputError(f"{where}: cache_weight must be below 1, not {value}")
        chosen[key] = number(value)
    return Method(kind, chosen)


def parse_method(name: str) -> Method:
    """The method that a file name carries; raises InputError if it is not one."""
    kind, *values = name.split("-")
    if kind not in SETTINGS:
        raise InputError(f"no evaluation method '{kind}'; {nearest(kind, SETTINGS)}")
    if len(values) != len(SETTINGS[kind]):
        raise InputError(f"method '{name}' must give {', '.join(SETTINGS[kind]) or 'no settings'}")
    try:
        settings = {
            key: number(value)
            for (key, number), value in zip(SETTINGS[kind].items(), values, strict=True)
        }
    except ValueError as error:
        raise InputError(f"method '{name}' has a setting that is not a number") from error
    return make_method(kind, settings, f"method '{name}'")


def _positional(value: float) -> str:
    """0.00002 for 2e-05, 1 for 1.0: exact, and without the minus sign that separates settings."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
