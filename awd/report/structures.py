"""Values of a record with parts of their own: objects in memory, JSON in a cell of records.csv."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from awd.errors import InputError
from awd.report.comparability import Protocol
from awd.vocabulary import Device, Stage

ROUNDING = 0.01  # nats by which the sum of a block, taken in another order, may differ


class UsedDevice(NamedTuple):
    """A device that computed a stage; a GPU has no ``threads``."""

    kind: Device
    name: str
    threads: int | None


class Blocks(NamedTuple):
    """Tokens and summed nats of each block of the test text (evaluation.breakdown)."""

    tokens: tuple[int, ...]
    nll: tuple[float, ...]


class Structure(NamedTuple):
    """How to ``load`` a value from decoded JSON, ``dump`` it again, and what to call it."""

    load: Callable
    dump: Callable
    name: str


def _load_blocks(value: Mapping) -> Blocks:
    tokens, nll = tuple(value["tokens"]), tuple(map(float, value["nll"]))
    if not all(type(count) is int for count in tokens) or len(tokens) != len(nll):
        raise ValueError("there must be a count of tokens and a sum of nats for each")
    return Blocks(tokens, nll)


def _load_bands(value: Mapping) -> dict[int, tuple[float, int]]:
    return {int(least): (float(nll), int(tokens)) for least, (nll, tokens) in value.items()}


def load_devices(value: list) -> tuple[UsedDevice, ...]:
    """Take the devices of a stage, in order of use, from decoded JSON."""
    found = [UsedDevice(Device(each["kind"]), each["name"], each["threads"]) for each in value]
    for device in found:
        if not isinstance(device.name, str) or type(device.threads) not in (int, type(None)):
            raise TypeError(f"{device.name!r} with {device.threads!r} threads")
    return tuple(found)


def _load_stages(value: Mapping) -> dict[Stage, tuple[UsedDevice, ...]]:
    return {Stage(stage): load_devices(devices) for stage, devices in value.items()}


def _dump_stages(value: Mapping) -> dict:
    return {stage: [device._asdict() for device in devices] for stage, devices in value.items()}


STRUCTURES = {
    "by_frequency": Structure(_load_bands, dict, "losses by frequency"),
    "blocks": Structure(_load_blocks, Blocks._asdict, "losses by block"),
    "protocol": Structure(Protocol.from_dict, Protocol.as_dict, "protocol"),
    "devices": Structure(_load_stages, _dump_stages, "devices"),
}
"""By column of the frame of records."""


def load(column: str, value: object, where: object, reader: Callable | None = None) -> Any:
    """Take a column's value from decoded JSON; None stays None.

    ``reader`` replaces the usual one. Raises InputError, prefixed with ``where``.
    """
    if value is None:
        return None
    try:
        return (reader or STRUCTURES[column].load)(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(column, where, error) from error


def from_cell(column: str, cell: object, where: object) -> object:
    """Read a cell of records.csv; an empty one is None."""
    if not isinstance(cell, str):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise _unreadable(column, where, error) from error
    return load(column, value, where)


def to_cell(column: str, value: object) -> str | None:
    """Write a cell of records.csv."""
    if value is None:
        return None
    return json.dumps(STRUCTURES[column].dump(value), ensure_ascii=False)


def check_sums(line: Mapping, where: object) -> None:
    """Raise InputError if a line's losses by block or frequency are not those of its text."""
    parts: dict[str, tuple[float, int, float]] = {}
    if (blocks := line["blocks"]) is not None:
        parts["blocks"] = (sum(blocks.nll), sum(blocks.tokens), ROUNDING * len(blocks.nll))
    if (bands := line["by_frequency"]) is not None:
        nll, tokens = (
            (sum(values) for values in zip(*bands.values(), strict=True)) if bands else (0, 0)
        )
        parts["by_frequency"] = (nll, tokens, 1e-6 * abs(nll))
    for column, (nll, tokens, rounding) in parts.items():
        same = type(line["nll"]) in (int, float) and math.isclose(
            nll, line["nll"], rel_tol=0, abs_tol=rounding
        )
        if not same or tokens != line["tokens"]:
            raise _unreadable(column, where, "they do not add up to those of the text")


def _unreadable(column: str, where: object, why: object) -> InputError:
    return InputError(f"{where}: its {STRUCTURES[column].name} cannot be read: {why}")
