"""``KEY=VALUE`` words of a command line, the same for every command as after ``--config``."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from awd.errors import InputError
from awd.study.validation import split_at_commas
from awd.study.yaml_text import parse_word

KEY = re.compile(r"[a-zA-Z_][\w-]*\w")
SCALES = ("demo", "small", "paper")
PRECISIONS = ("fp32", "bf16")
USUAL = {"recipe": "default", "precision": "fp32"}
"""What the folder results/{scale} is for; of other values its name has them, too."""


def parse(words: Iterable[str], texts: Collection[str] = ()) -> dict:
    """Return the keys and values of ``words``, the values read as in a file.

    The values of the keys ``texts`` are taken as they are written. Raises InputError for a word
    that is not KEY=VALUE, whose value has several readings, or whose key is given twice.
    """
    config: dict = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator or not KEY.fullmatch(key):
            raise InputError(
                f"the command line: '{word}' must have the form KEY=VALUE, as in scale=small"
            )
        if key in config:
            raise InputError(f"the command line: '{key}' is given twice")
        value: Any = text if key in texts else parse_word(text, f"the command line: {key}")
        config[key] = value
    return config


def plain(config: Mapping) -> dict:
    """Return ``config`` without short forms.

    ``scale: paper-readme-bf16`` names a folder of results and means scale paper, recipe readme and
    precision bf16; ``device: gpu`` means cuda. What is not understood stays as it is: checking it
    is for the caller.
    """
    config = dict(config)
    scale, *rest = str(config.get("scale")).split("-")
    if rest and scale in SCALES:
        config["scale"] = scale
        if rest[-1] in PRECISIONS:
            config["precision"] = rest.pop()
        if rest:
            config["recipe"] = "-".join(rest)
    if config.get("device") == "gpu":
        config["device"] = "cuda"
    return config


def folder_name(config: Mapping) -> str:
    """Return the name of the folder of results that a configuration's scale has.

    >>> folder_name({"scale": "paper", "precision": "bf16"})
    'paper-bf16'
    """
    config = plain(config)
    special = [str(config[key]) for key, usual in USUAL.items() if config.get(key, usual) != usual]
    return "-".join([str(config.get("scale")), *special])


def listed(value: object) -> list | None:
    """Return ``a,b``, ``[a, b]`` or ``a`` as a list, nothing as None.

    Raises InputError if one of several is empty.
    """
    try:
        value = split_at_commas(value)
    except PydanticCustomError as error:
        raise InputError(f"the command line: {error.message()}") from error
    return value if isinstance(value, list) or value is None else [value]
