"""Relative values: x0.5 is half of what the key has without the line that says so."""

import json
import re

import pytest

from awd.errors import InputError
from awd.places import SCHEMAS
from awd.study.settings import FACTOR, NUMBERS, Changes, Settings, is_factor, multiplied, stacked
from awd.study.validation import validate


def resolved(base: dict, *changes: dict) -> dict:
    layers = [validate(Settings, base, "base"), *(validate(Changes, c, "here") for c in changes)]
    return multiplied(*stacked(layers), "here: row 'wide'")


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        ({"hidden_size": 64}, [{"hidden_size": "x0.5"}], {"hidden_size": 32}),
        ({"dropout_output": 0.3}, [{"dropout_output": "x0.5"}], {"dropout_output": 0.15}),
        ({"weight_decay": 1.2e-6}, [{"weight_decay": "x10"}], {"weight_decay": 1.2e-5}),
        # the default, where the base has no value
        ({}, [{"epochs": "x0.1"}], {"epochs": 4}),
        # at the scale, then by the row: each multiplies what is before it
        ({"epochs": 8}, [{"epochs": "x0.5"}, {"epochs": "x3"}], {"epochs": 12}),
        ({"epochs": 5}, [{"epochs": "x0.5"}, {"epochs": "x2"}], {"epochs": 5}),
        # a plain value ends what stood before it, also what would be no whole number
        ({"epochs": 5}, [{"epochs": "x0.5"}, {"epochs": 7}], {"epochs": 7}),
        ({"cache_window": 500}, [{"cache_window": "x2"}], {"cache_window": 1000}),
    ],
)
def test_a_relative_value_multiplies_the_one_before_it(base, changes, expected):
    found = resolved(base, *changes)
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in expected.items()
    }


@pytest.mark.parametrize(
    ("base", "change", "sentence"),
    [
        ({"hidden_size": 65}, {"hidden_size": "x0.5"}, "x0.5 of 65 is 32.5, not a whole number"),
        ({"dropout_output": 0.4}, {"dropout_output": "x3"}, "below 1, not 1.2 (x3 of 0.4)"),
        ({}, {"dropout_output": "x0.5"}, "x0.5 has nothing to multiply, because dropout_output is"),
        ({}, {"cache_window": "x2"}, "because cache_window is not set without it; set it in base"),
    ],
)
def test_a_product_that_is_no_value_is_refused(base, change, sentence):
    with pytest.raises(InputError, match=f"^here: row 'wide': .*{re.escape(sentence)}"):
        resolved(base, change)


@pytest.mark.parametrize("text", ["half", "0.5x", "x", "x0", "x-1", "x0,5", "50%", "×0.5"])
def test_another_spelling_is_refused_with_the_right_one(text):
    assert not is_factor(text)
    with pytest.raises(InputError, match=f"here: hidden_size: '{text}' is neither.*write x0.5 for"):
        validate(Changes, {"hidden_size": text}, "here")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cell": "x0.5"}, "here: cell: no 'x0.5'"),
        ({"tied": "x0.5"}, "here: tied must be true or false"),
        ({"hiden_size": "x0.5"}, "here: no hyperparameter 'hiden_size'; did you mean"),
        ({"hidden_size": "20"}, "here: hidden_size must be a whole number.*without quotes"),
        ({"dropout_output": "0,5"}, "here: dropout_output must be a number.*write 0.5"),
    ],
)
def test_what_is_not_meant_as_relative_is_refused_as_before(change, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        validate(Changes, change, "here")


def test_what_is_given_includes_relative_values():
    changes = validate(Changes, {"hidden_size": "x2", "layers": 3}, "here")
    assert changes.given() == {"hidden_size": "x2", "layers": 3}
    assert changes.factors == {"hidden_size": "x2"}


def test_only_numbers_have_relative_values():
    assert {"hidden_size", "dropout_output", "cache_theta", "patience"} <= NUMBERS.keys()
    assert not {"cell", "tied", "schedule", "variable_bptt"} & NUMBERS.keys()


def test_editors_accept_relative_values_in_changes_alone():
    suite = json.loads((SCHEMAS / "suite.schema.json").read_text(encoding="utf-8"))["$defs"]
    for key in NUMBERS:
        number, relative = suite["Changes"]["properties"][key]["anyOf"]
        assert relative == {"type": "string", "pattern": FACTOR}
        assert number.items() <= suite["Settings"]["properties"][key].items()
        assert "anyOf" not in suite["Settings"]["properties"][key]
    assert "anyOf" not in suite["Changes"]["properties"]["cell"]
