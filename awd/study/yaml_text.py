"""YAML text -> values, with one reading for files and for KEY=VALUE words.

Programs disagree about some unquoted words of YAML: to YAML 1.1 (which Snakemake uses) ``010`` is
8, ``1:30`` is 90, ``no`` is false and ``2020-01-01`` is a date; to YAML 1.2 (which editors use)
they are 10, text, text and text. Such words are refused here, so no number is silently another
one. Everything else is read as YAML 1.2 reads it.
"""

import re
from pathlib import Path

import yaml

from awd.errors import InputError
from awd.files import open_regular, without_byte_order_mark

STRING, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
AMBIGUOUS = "!ambiguous"
PLAIN = {  # YAML 1.2, core schema
    "null": re.compile(r"|~|null|Null|NULL"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "float": re.compile(
        r"[-+]?((0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}
NUMBER_OF_YAML_1_2 = re.compile(r"[-+]?0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
"""Numbers to YAML 1.2, and not all of them to YAML 1.1."""
ADVICE = {
    "bool": "is true or false to some programs and a word to others; write true or false, "
    "or put the word in quotes",
    "timestamp": "is a date to some programs; put it in quotes",
    "number": "is a different number to different programs; write it with plain digits, or put "
    "text in quotes",
}


LARGEST = 10_000_000
"""Bytes of a file; more is a mistake."""
MOST = 1_000_000
"""Values in a text, with all repetitions by aliases; more is a mistake."""


class RefusedError(yaml.constructor.ConstructorError):
    """Valid YAML that is refused here."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe YAML loader that refuses ambiguous words and keys that are given twice."""

    def resolve(self, kind, value, implicit):
        """Return the tag of a node; an unquoted word has the one of YAML 1.2, or AMBIGUOUS."""
        if kind is not yaml.ScalarNode or not implicit[0]:
            return super().resolve(kind, value, implicit)
        for name, pattern in PLAIN.items():
            if pattern.fullmatch(value):
                return f"tag:yaml.org,2002:{name}"
        if value == "<<":
            return MERGE
        older = super().resolve(kind, value, implicit)
        same = older == STRING and not NUMBER_OF_YAML_1_2.fullmatch(value)
        return STRING if same or value == "=" else AMBIGUOUS

    def construct_mapping(self, node, deep=False):
        """Do as the base class does; raise RefusedError for a key that is given twice."""
        seen = set()
        for key_node, _ in node.value:
            key = "<<" if key_node.tag == MERGE else self.construct_object(key_node, deep=True)
            try:
                repeated = key in seen
            except TypeError:
                continue  # the base class refuses it
            if repeated:
                raise RefusedError(None, None, f"'{key}' is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_ambiguous(self, node):
        """Raise RefusedError: the word has several readings."""
        kind = yaml.SafeLoader.resolve(self, yaml.ScalarNode, node.value, (True, False))
        advice = ADVICE.get(kind.rpartition(":")[2], ADVICE["number"])
        raise RefusedError(None, None, f"{node.value} {advice}", node.start_mark)


Loader.yaml_constructors = Loader.yaml_constructors | {AMBIGUOUS: Loader.construct_ambiguous}


def read_yaml(path: Path) -> object:
    """Return the content of a YAML file.

    Raises InputError, with the line, if the file is missing, not UTF-8 or not YAML.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise InputError(f"{path} is larger than {LARGEST:,} bytes; no YAML here is")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}, line 1: the file is UTF-16; save it as UTF-8")
    try:
        text = without_byte_order_mark(content).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: the file is not UTF-8; save it as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_word(text: str, where: str) -> object:
    """Return the value of one word of a command line, read as in a file; raises InputError.

    That is also so for text of which YAML drops a part: a comment, a line break.
    """
    value = parse_yaml(text, where, lines=False)
    written = text.strip()
    if isinstance(value, str) and not written.startswith(("'", '"')) and value != written:
        raise InputError(
            f'{where}: YAML reads {written!r} as {value!r}; write "{written!r}" on the command line'
        )
    return value


def parse_yaml(text: str, where: str, *, lines: bool = True) -> object:
    """Return the value of YAML ``text``.

    Raises InputError that begins with ``where`` and, if ``lines`` matter, has the line.
    """
    try:
        value = yaml.load(text, Loader)  # noqa: S506 - derived from the safe loader
        if _size(value, {}) > MOST:
            raise ValueError(f"its aliases make more than {MOST:,} values")
        return value
    except yaml.reader.ReaderError as error:
        # The character's number; of the C library it counts bytes, which may be a few more.
        number = text.count("\n", 0, error.position) + 1
        character = error.character
        shown = f"U+{character:04X}" if isinstance(character, int) else repr(character)
        raise InputError(f"{where}, line {number}: YAML does not allow {shown}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and lines else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if "cannot start any token" in problem and _tab(text, mark):
            problem = "a tab; indent with spaces"
        kind = "" if isinstance(error, RefusedError) else "not valid YAML: "
        raise InputError(f"{where}{line}: {kind}{problem}") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{where}: not valid YAML: {error}") from error


def _size(value: object, known: dict[int, int]) -> int:
    """Count ``value`` and all in it, what aliases repeat as often as it is there.

    ``known`` has the counts of collections by identity. Raises ValueError if one is in itself.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # while it is counted
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    elif known[id(value)] == 0:
        raise ValueError("an alias refers to what it is in")
    return known[id(value)]


def _tab(text: str, mark: yaml.Mark | None) -> bool:
    lines = text.splitlines()
    return mark is not None and mark.line < len(lines) and "\t" in lines[mark.line]
