"""Configuration and suites, read and checked: a mistake is one sentence that says where it is."""

import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from awd.errors import InputError, nearest
from awd.places import SCHEMAS

MERGE = "tag:yaml.org,2002:merge"  # of the key <<


class UniqueKeyLoader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """A safe YAML loader to which a key written twice is a mistake, not the last one's victory."""

    def construct_mapping(self, node, deep=False):
        """As the base class does; raises ConstructorError for a key written twice."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """The content of a YAML file.

    Raises InputError if it is missing or not YAML, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> object:
    """The value of YAML ``text``; errors say they were found in ``where``."""
    try:
        return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where}{line}: not valid YAML: {problem}") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{where}: not valid YAML: {error}") from error


def check(value: object, schema: str, where: str) -> None:
    """Check ``value`` against the named schema of workflow/schemas.

    Raises InputError with the first mistake: its place in ``where`` and what is allowed there.
    """
    error = jsonschema.exceptions.best_match(_validator(schema).iter_errors(value))
    if error is not None:
        raise InputError(f"{where}: {_sentence(error)}")


@cache
def _validator(name: str) -> jsonschema.protocols.Validator:
    schema = yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))
    return _Validator(schema)


def _is_integer(_, value: object) -> bool:
    return type(value) is int


def _is_number(_, value: object) -> bool:
    return _is_integer(_, value) or (type(value) is float and math.isfinite(value))


def _matches(_, pattern: str, value: object, __) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


# JSON Schema takes 3.0 for a whole number, and knows neither nan nor inf. To Python's patterns, $
# is also what precedes a line break at the end; a name with one would end a command.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    validators={"pattern": _matches},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def _sentence(error: jsonschema.ValidationError) -> str:
    place = _place(error.absolute_path)
    rule, allowed, value = error.validator, error.validator_value, error.instance
    if rule == "additionalProperties" and allowed is False:
        known = error.schema.get("properties", {})
        unknown = next(key for key in value if key not in known)
        return f"unknown key '{unknown}'{place and f' in {place}'}; {nearest(unknown, known)}"
    subject = place or "the file"
    if "propertyNames" in error.absolute_schema_path:
        return f"{subject}: {_short(value)} is no name; allowed are a-z, 0-9 and '-'"
    if rule == "required":
        missing = next(key for key in allowed if key not in value)
        return f"{place and f'{place}: '}key '{missing}' is missing"
    if rule == "enum":
        return f"{subject}: no {_short(value)}; {nearest(value, allowed)}"
    if rule == "type":
        kinds = allowed if isinstance(allowed, list) else [allowed]
        return f"{subject} must be {' or '.join(map(KINDS.get, kinds))}, not {_short(value)}"
    if rule == "pattern":
        return f"{subject}: {_short(value)} is no name; allowed are a-z, 0-9 and '-'"
    if rule == "anyOf":
        return f"{subject} needs one of train, valid or test"
    if rule == "oneOf":
        return f"{subject}: {_short(value)} is not allowed; see the comments in config.yaml"
    if rule in ("minItems", "minLength", "minProperties"):
        return f"{subject} must not be empty"
    if rule == "uniqueItems":
        return f"{subject}: {_short(value)} holds the same twice"
    if rule in BOUNDS:
        return f"{subject} must be {BOUNDS[rule]} {allowed}, not {_short(value)}"
    return f"{subject}: {_short(value)} is not allowed ({rule}: {_short(allowed)})"


KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}

BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}


def _place(path: Iterable) -> str:
    place = ""
    for part in path:
        place += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if place else ''}{part}"
    return place


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
