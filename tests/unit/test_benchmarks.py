"""The benchmarks still import what they measure, and summarise what they measured."""

import csv
import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_benchmark_can_be_imported(name):
    assert importlib.import_module(name).__doc__


def test_the_summary_of_the_recorded_speeds_has_every_contestant():
    speed = importlib.import_module("speed")
    with (FOLDER / "speed.csv").open(encoding="utf-8") as file:
        lines = [
            {
                key: float(value) if key not in TEXTS and value else value
                for key, value in line.items()
            }
            for line in csv.DictReader(file)
        ]
    text = speed.summary(lines)
    for line in lines:
        assert line["contestant"].startswith("gemm") or f"| {line['contestant']} |" in text


TEXTS = ("contestant", "configuration")
