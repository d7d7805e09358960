"""Evaluation methods and their names in files."""

import pytest

from awd.errors import InputError
from awd.study.methods import make_method, parse_method

SETTINGS = {
    "cache_window": 3785,
    "cache_theta": 0.662,
    "cache_weight": 0.1279,
    "dynamic_rate": 2e-05,
    "dynamic_decay": 0.002,
    "dynamic_epsilon": 1e-3,
    "dynamic_bptt": 5,
    "ensemble_size": 5,
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("stream", "stream"),
        ("cache", "cache-3785-0.662-0.1279"),
        ("dynamic", "dynamic-0.00002-0.002-0.001-5"),
        ("ensemble", "ensemble-5"),
    ],
)
def test_a_name_carries_the_whole_method(kind, name):
    method = make_method(kind, SETTINGS, "here")
    assert method.name == name
    assert parse_method(name) == method


def test_whole_numbers_are_written_alike_however_they_are_given():
    same = {make_method("cache", SETTINGS | {"cache_theta": theta}, "").name for theta in (1, 1.0)}
    assert same == {"cache-3785-1-0.1279"}


@pytest.mark.parametrize(
    "change",
    [
        {"cache_window": 0},
        {"cache_window": 1.5},
        {"cache_window": True},
        {"cache_weight": 1.0},
        {"cache_theta": -1},
        {"cache_theta": float("inf")},
        {"cache_theta": "1"},
    ],
)
def test_settings_are_checked(change):
    with pytest.raises(InputError, match=f"here: {next(iter(change))} must be"):
        make_method("cache", SETTINGS | change, "here")


def test_a_missing_setting_is_named():
    with pytest.raises(InputError, match="here: method 'ensemble' needs ensemble_size"):
        make_method("ensemble", {}, "here")


@pytest.mark.parametrize("name", ["cash-1-1-1", "cache-1-1", "cache-a-1-0.1", "ensemble-1"])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(InputError):
        parse_method(name)


def test_ensembles_share_no_seed():
    one, two = (make_method(kind, {"ensemble_size": 3}, "test") for kind in ("stream", "ensemble"))
    assert [list(one.seeds(seed)) for seed in (0, 1, 7)] == [[0], [1], [7]]
    assert [list(two.seeds(seed)) for seed in (1, 2)] == [[1, 2, 3], [4, 5, 6]]
