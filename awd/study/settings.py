"""What a suite sets: hyperparameters and settings of methods, as values or relative ones.

A relative value, ``x0.5``, is that many times the value that the key has without this line.
"""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Self

from pydantic import GetJsonSchemaHandler, ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from awd.errors import InputError
from awd.study.methods import MethodSettings
from awd.study.spec import DEFAULTS, Hyperparameters
from awd.study.validation import refuse, validate

FACTOR = r"^x[0-9]{1,6}(\.[0-9]{1,6})?$"
"""The one way to write a relative value."""


def is_factor(value: object) -> bool:
    """Return whether ``value`` is a relative one: x and a number above 0.

    >>> is_factor("x0.5"), is_factor("0.5x"), is_factor("x0")
    (True, False, False)
    """
    if not isinstance(value, str) or not re.fullmatch(FACTOR, value):
        return False
    return Decimal(value[1:]) > 0


class Settings(Hyperparameters, MethodSettings):
    """Some hyperparameters and settings of evaluation methods; only what is given counts."""

    def given(self) -> dict[str, Any]:
        """Return what is given, by name."""
        return {key: getattr(self, key) for key in self.model_fields_set}


NUMBERS = {
    key: field.annotation
    for key, field in Settings.model_fields.items()
    if field.annotation in (int, float)
}
"""The keys that may have a relative value, with their types."""


class Changes(Settings):
    """Settings that may be relative to those they replace."""

    _factors: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _set_factors_aside(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, Mapping):
            return handler(value)
        factors = {key: text for key, text in value.items() if _is_meant_as_factor(key, text)}
        for key, text in factors.items():
            if not is_factor(text):
                raise refuse(
                    f"{key}: '{text}' is neither a number nor a relative value; write x0.5 for "
                    "half of the value that the key has without this line"
                )
        changes = handler({key: each for key, each in value.items() if key not in factors})
        changes._factors = factors
        return changes

    @property
    def factors(self) -> Mapping[str, str]:
        """The relative values as they are written, by key."""
        return self._factors

    def given(self) -> dict[str, Any]:
        """Return what is given, by name; relative values as they are written."""
        return {**super().given(), **self._factors}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Let editors accept relative values where the model does."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for key in NUMBERS:
            about = {
                word: properties[key].pop(word)
                for word in ("title", "description", "default")
                if word in properties[key]
            }
            relative = {"type": "string", "pattern": FACTOR}
            properties[key] = {"anyOf": [properties[key], relative], **about}
        return schema


def _is_meant_as_factor(key: object, value: object) -> bool:
    """Return whether a value is text where a number is expected, and is not a number in quotes."""
    return key in NUMBERS and isinstance(value, str) and not re.fullmatch(r"[-+\d.,e ]*", value)


def stacked(
    layers: Iterable[Settings | Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return values and relative values by key, of which a later layer replaces or multiplies.

    A plain value ends what stood before it. `multiplied` then makes one value of both.
    """
    values: dict[str, Any] = {}
    factors: dict[str, list[str]] = {}
    for layer in layers:
        relative = layer.factors if isinstance(layer, Changes) else {}
        for key, value in (layer.given() if isinstance(layer, Settings) else layer).items():
            if key in relative:
                factors.setdefault(key, []).append(value)
            else:
                values[key] = value
                factors.pop(key, None)
    return values, factors


def multiplied(
    values: Mapping[str, Any], factors: Mapping[str, list[str]], where: str
) -> dict[str, Any]:
    """Return ``values``, of which those with ``factors`` are multiplied.

    Raises InputError, prefixed with ``where``, if a product is no value of its key.
    """
    products = {
        key: _product(key, texts, values.get(key, DEFAULTS.get(key)), where)
        for key, texts in factors.items()
    }
    return {**values, **products}


def _product(key: str, factors: list[str], value: Any, where: str) -> int | float:
    written = " ".join(factors)
    if not value:
        without = "not set" if value is None else f"{value:g}"
        raise InputError(
            f"{where}: {key}: {written} has nothing to multiply, because {key} is {without} "
            "without it; set it in base"
        )
    # Decimal numbers: x0.5 of 0.3 is 0.15, as if it were written so.
    product = math.prod((Decimal(each[1:]) for each in factors), start=Decimal(repr(value)))
    if NUMBERS[key] is int and product % 1:
        raise InputError(
            f"{where}: {key}: {written} of {value} is {product.normalize():f}, not a whole number"
        )
    number = int(product) if NUMBERS[key] is int else float(product)
    try:
        validate(Settings, {key: number}, where)
    except InputError as error:
        raise InputError(f"{error} ({written} of {value})") from error
    return number
