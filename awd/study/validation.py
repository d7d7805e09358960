"""Checked data: the base of all typed models, and their mistakes as one sentence.

A model is a class of pydantic. `validate` makes one of plain data; what is wrong in it becomes an
InputError that names the place, what is allowed and, for a key, the nearest valid one.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from awd.errors import InputError, nearest
from awd.study.yaml_text import PLAIN

LONGEST_NAME = 60  # letters; a run's name has its corpus's and must fit a file name
REPEATS = 20  # of an ending, from which on Snakemake refuses a name
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
"""Characters that make two labels look alike, or print one in another order than it is written."""
PATTERN = r"^[a-z0-9][a-z0-9-]*$"
FOLDER = r"^[^{}<>*?\n\r]+$"
FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
ADDRESS = r"^https?://\S+$"
FORMS = {
    PATTERN: "is no name; allowed are a-z, 0-9 and '-'",
    FOLDER: "cannot be a folder here: Snakemake gives { } < > * ? a meaning",
    FILE: "is no name of a file; allowed are letters, digits and . _ -",
    ADDRESS: "is no address; it must begin with http:// or https://",
}
"""What is wrong with text of another form."""


class Model(BaseModel):
    """Data with named, typed parts: no others, no conversions between types, no changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    part: ClassVar[str] = "key"
    """The word for one of the model's parts in messages."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_unknown_parts(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        known = cls.model_fields
        unknown = [key for key in value if key not in known]
        if unknown:
            key = unknown[0]
            hint = nearest(key, known)
            if not isinstance(key, str) and value[key] is None:
                hint = "write numbers with a decimal point, and text with a comma in quotes"
            elif value[key] is None and (found := re.match(r"(\w+)[: ]+(\S.*)", str(key))):
                name, text = found.groups()
                hint = f"write '{name}: {text}'" if name in known else hint
            context = {"part": cls.part, "key": _short(key, plain=True), "hint": hint}
            raise PydanticCustomError("unknown", "{part} {key} {hint}", context)
        return value


def described(text: str, default: object = ...) -> Any:
    """Return a field of a model with its meaning, for readers and editors; it may be required.

    The type is Any, as a checker takes the field for a value of its model.
    """
    return Field(default, description=text)


def refuse(sentence: str) -> PydanticCustomError:
    """Return the error that a model's own check raises."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def _usable(name: str) -> str:
    if re.search(rf"(.+)\1{{{REPEATS - 1}}}$", name):
        raise refuse(
            f"'{name}' repeats its ending {REPEATS} times, which Snakemake refuses; shorten it"
        )
    return name


def _different(items: list) -> list:
    if len(set(items)) < len(items):
        raise refuse(f"{_short(items)} holds the same twice")
    return items


def split_at_commas(value: object) -> object:
    """Return the list that ``a,b`` stands for; whatever is not such text is returned as it is.

    Raises the error of a model's own check if a part is empty.
    """
    if not isinstance(value, str) or "," not in value:
        return value
    parts = [part.strip() for part in value.strip("[] ").split(",")]
    if not all(parts):
        raise refuse(f"'{value}' has an empty part; write one comma between two parts")
    return parts


def whole(value: object) -> object:
    """Return 30 for 30.0: equal numbers must print the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[
    str, StringConstraints(pattern=PATTERN, max_length=LONGEST_NAME), AfterValidator(_usable)
]


def _visible(text: str) -> str:
    if found := UNPRINTABLE.search(text):
        raise refuse(f"the text holds U+{ord(found.group()):04X}, which no reader sees; remove it")
    if not text.strip():
        raise refuse("the text is blank")
    return text


Text = Annotated[str, StringConstraints(min_length=1)]
Label = Annotated[Text, AfterValidator(_visible)]
"""Text for readers."""
Positive = Annotated[float, Field(gt=0)]
Whole = Annotated[int, BeforeValidator(whole)]
"""A whole number, which may be written 40.0."""
Item = TypeVar("Item")
Several = Annotated[list[Item], Field(min_length=1), AfterValidator(_different)]
"""A list that is not empty and holds nothing twice."""


def alternative(value: object) -> str:
    """Return which alternative of "one or several" a value is; messages leave these marks out."""
    return "<list>" if isinstance(value, list) else "<one>"


Names = Annotated[
    Annotated[Name, Tag("<one>")] | Annotated[Several[Name], Tag("<list>")],
    Discriminator(alternative),
    BeforeValidator(split_at_commas),
]
"""One name, or several: ``a``, ``a,b`` or ``[a, b]``."""

Checked = TypeVar("Checked", bound=Model)


def validate(
    model: type[Checked], value: object, where: str, places: Mapping[str, str] = {}
) -> Checked:
    """Return ``value`` as a ``model``.

    Raises InputError with the first mistake: ``where``, its place there, and what is allowed.
    ``places`` has keys of the value that come from elsewhere than ``where``.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        key = first["loc"][0] if first["loc"] else first.get("ctx", {}).get("key")
        raise InputError(f"{places.get(str(key), where)}: {_sentence(model, first)}") from error


def _sentence(model: type[Model], error: Mapping) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    place, is_key = _place(error["loc"]), error["loc"][-1:] == ("[key]",)
    subject = place or "the file"
    if kind == "unknown":
        key, hint = context["key"], context["hint"]
        if context["part"] == "key":
            return f"unknown key '{key}'{place and f' in {place}'}; {hint}"
        return f"{place and f'{place}: '}no {context['part']} '{key}'; {hint}"
    if kind == "refused":
        return f"{place and f'{place}: '}{context['sentence']}"
    if kind == "missing":
        key = error["loc"][-1]
        place = _place(error["loc"][:-1])
        return f"{place and f'{place}: '}{model.part} '{key}' is missing"
    if is_key and not isinstance(value, str):
        return f"{subject}: {_short(value)} is no name; put it in quotes if it is meant to be one"
    if kind == "string_pattern_mismatch":
        return f"{subject}: {_short(value)} {FORMS[context['pattern']]}"
    if kind == "literal_error" and not isinstance(value, Mapping | list):
        return f"{subject}: no {_short(value)}; {nearest(value, _choices(context['expected']))}"
    if kind in ("string_too_short", "too_short"):
        return f"{subject} must not be empty"
    if kind == "string_too_long":
        return f"{subject}: {_short(value)} is longer than {context['max_length']} letters"
    for bound, words in BOUNDS.items():
        if bound in context and kind in KINDS_OF_BOUNDS:
            return f"{subject} must be {words} {context[bound]:g}, not {_short(value)}"
    allowed = KINDS.get(kind, "something else")
    if len(error["loc"]) == 1 and _may_be_null(model, error["loc"][0]):
        allowed += " or null"
    return f"{subject} must be {allowed}, not {_short(value)}{_hint(kind, value)}"


KINDS = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "text",
    "literal_error": "one word",
    "float_type": "a number",
    "finite_number": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
}
BOUNDS = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "below"}
KINDS_OF_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def _hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return "; put it in quotes if it is meant as text"
    if isinstance(value, str) and kind in ("float_type", "int_type"):
        if kind == "float_type" and re.fullmatch(r"[-+]?\d+,\d+", value):
            if re.fullmatch(r"[-+]?\d{1,3},\d{3}", value):  # a thousand, or a fraction
                return "; write it without a comma, or with a decimal point"
            return f"; write {value.replace(',', '.')} with a decimal point"
        # Digits of other scripts and widths, which Python reads as numbers and YAML does not.
        plain = "".join(str(unicodedata.decimal(sign, sign)) for sign in value.strip())
        plain = plain.replace("\N{MINUS SIGN}", "-")
        number = any(PLAIN[name].fullmatch(plain) for name in ("int", "float"))
        if number and math.isfinite(float(plain)):
            how = "without quotes" if plain == value.strip() else "with the digits 0-9"
            return f"; write {plain} {how}"
    return ""


def _choices(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected) or [expected]


def _may_be_null(model: type[Model], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and type(None) in get_args(field.annotation)


def _place(path: tuple) -> str:
    """Return ``rows.full.set`` or ``seeds[2]``; marks of alternatives are left out."""
    place = ""
    if path[-1:] == ("[key]",):
        path = path[:-2]
    for part in path:
        if isinstance(part, str) and part.startswith("<"):
            continue
        place += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if place else ''}{part}"
    return place


def _short(value: object, *, plain: bool = False) -> str:
    """Return a value as it was written, or what kind of thing it is if it has parts with names."""
    if isinstance(value, Mapping):
        return f"a mapping ({', '.join(map(str, value))})"
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return "a list of mappings; leave out the hyphens"
    text = str(value) if plain else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
