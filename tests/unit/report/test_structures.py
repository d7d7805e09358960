"""Values with parts survive a cell of records.csv; damaged ones are refused with their place."""

import json

import pytest

from awd.errors import InputError
from awd.report import structures
from awd.report.comparability import Protocol
from awd.report.structures import Blocks, UsedDevice, check_sums, from_cell, load, to_cell
from awd.vocabulary import Device, Stage

VALUES = {
    "by_frequency": {0: (30.5, 10), 1000: (12.25, 20)},
    "blocks": Blocks((10, 20), (30.5, 12.25)),
    "protocol": Protocol("stream", "left", 1, True, True, 10_000, None, 82_429),
    "devices": {
        Stage.TRAIN: (
            UsedDevice(Device.CPU, "AMD EPYC", 2),
            UsedDevice(Device.CUDA, "NVIDIA H200", None),
        )
    },
}


def test_every_structure_is_tried():
    assert VALUES.keys() == structures.STRUCTURES.keys()


@pytest.mark.parametrize("column", VALUES)
def test_a_cell_gives_the_value_back(column):
    cell = to_cell(column, VALUES[column])
    assert from_cell(column, cell, "here") == VALUES[column]
    assert json.loads(cell), "and other programs can read it"


@pytest.mark.parametrize("column", VALUES)
def test_an_empty_cell_is_none(column):
    assert to_cell(column, None) is None
    assert from_cell(column, float("nan"), "here") is None
    assert load(column, None, "here") is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("by_frequency", {"often": [1.0, 2]}),
        ("by_frequency", {"0": [1.0]}),
        ("blocks", {"tokens": [1, 2], "nll": [1.0]}),
        ("blocks", {"tokens": [1.5], "nll": [1.0]}),
        ("blocks", {"tokens": [1]}),
        ("protocol", {"mode": "stream"}),
        ("devices", {"train": [{"kind": "abacus", "name": "x", "threads": 1}]}),
        ("devices", {"train": [{"kind": "cpu", "name": None, "threads": 1}]}),
        ("devices", {"train": [{"kind": "cpu", "name": "x", "threads": "1"}]}),
        ("devices", {"sleep": []}),
        ("devices", [1]),
    ],
)
def test_a_damaged_value_is_refused_with_its_place(column, value):
    with pytest.raises(InputError, match=r"^here: its .* cannot be read: "):
        load(column, value, "here")
    with pytest.raises(InputError, match=r"^here: its .* cannot be read: "):
        from_cell(column, json.dumps(value), "here")


@pytest.mark.parametrize("cell", ["{", "[" * 100_000], ids=["no JSON", "too deep"])
def test_a_cell_that_is_no_json_is_refused(cell):
    with pytest.raises(InputError, match=r"^here: its losses by block cannot be read: "):
        from_cell("blocks", cell, "here")


def line(**changes):
    values = {name: VALUES[name] for name in ("blocks", "by_frequency")}
    return {"nll": 42.75, "tokens": 30} | values | changes


def test_sums_may_differ_by_rounding_and_by_no_more():
    check_sums(line(), "here")
    check_sums(line(blocks=None, by_frequency=None), "here")
    near = Blocks((10, 20), (30.5, 12.26))
    check_sums(line(blocks=near), "here")
    for damage in (
        {"blocks": Blocks((10, 20), (30.5, 12.5))},
        {"blocks": Blocks((10, 21), (30.5, 12.25))},
        {"by_frequency": {0: (30.5, 10), 1000: (12.251, 20)}},
        {"by_frequency": {}},
        {"tokens": 31},
        {"nll": None},
    ):
        with pytest.raises(InputError, match=r"^here: its losses by \w+ .* do not add up"):
            check_sums(line(**damage), "here")
