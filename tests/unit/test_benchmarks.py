"""The benchmarks still import what they measure, and summarise what they measured."""

import csv
import importlib
import os
import sys
from pathlib import Path

import forked
import pytest
import trained_runs

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_benchmark_can_be_imported(name):
    assert importlib.import_module(name).__doc__


def test_the_summary_of_the_recorded_speeds_has_every_contestant_on_each_cpu():
    speed = importlib.import_module("speed")
    lines = speed.read(speed.TABLE)
    assert speed.summary(lines) == speed.TABLE.with_suffix(".md").read_text(encoding="utf-8")
    for line in lines:
        text = speed.section([each for each in lines if each["cpu"] == line["cpu"]])
        assert line["contestant"].startswith("gemm") or f"| {line['contestant']} |" in text


def test_a_measurement_replaces_no_other_cpus(tmp_path, monkeypatch):
    speed = importlib.import_module("speed")
    old = [{"cpu": name, "contestant": "plain", "configuration": "a"} for name in ("one", "two")]
    speed.write(old, tmp_path / "speed.csv")
    monkeypatch.setattr(speed, "TABLE", tmp_path / "speed.csv")
    monkeypatch.setattr(speed.cpu, "name", lambda: "two")
    new = {"contestant": "gemm fp32", "configuration": "", "gflops": 60.0, "round": 1}
    machine = dict.fromkeys(speed.MACHINE, "known") | {"cpu": "two"}
    monkeypatch.setattr(speed, "rounds", lambda _: [machine | new])
    monkeypatch.setattr(speed, "summary", lambda _: "")
    monkeypatch.setattr(sys, "argv", ["speed.py", str(tmp_path)])
    speed.main()
    lines = speed.read(tmp_path / "speed.csv")
    assert [(line["cpu"], line["contestant"]) for line in lines] == [
        ("one", "plain"),
        ("two", "gemm fp32"),
    ]


def visit(*words: object) -> list[dict]:
    """Run the visit of a GPU on the CPU, at tiny size; returns the lines of its csv."""
    *words, folder = words
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent)}
    options = ["--device", "cpu", "--tiny", "--out", folder]
    done = forked.run("gpu", [*words, *options], FOLDER, environment)
    assert done.returncode == 0, done.stderr
    (table,) = folder.glob("*.csv")
    with table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_visit_of_a_gpu_runs_in_full_without_one(tmp_path):
    """All parts write their lines; a part that runs again replaces its own ones alone."""
    trained_runs.encoded(tmp_path)
    (corpus,) = (tmp_path / "corpora").iterdir()
    lines = visit(corpus, tmp_path / "out")
    parts = importlib.import_module("gpu").PARTS
    assert list(dict.fromkeys(line["part"] for line in lines)) == list(parts)
    assert not [line for line in lines if line["value"].startswith("!")]
    contestants = {line["contestant"] for line in lines if line["part"] == "speed"}
    assert contestants == {
        "awd",
        "awd, kernel by kernel",
        "plain, TF32 as by default",
        "plain, fp32",
    }
    epochs = [line["round"] for line in lines if line["figure"] == "valid_perplexity"]
    assert epochs == ["1", "2"]
    (page,) = (tmp_path / "out").glob("*.md")
    text = page.read_text(encoding="utf-8")
    for heading in ("Checks", "Training steps", "Several trainings", "AWD-LSTM at full scale"):
        assert f"## {heading}" in text
    again = visit(corpus, "train", tmp_path / "out")
    assert again == lines, "the training has ended; the other parts stay as they were"


def test_a_part_that_fails_keeps_its_lines_and_the_parts_after_it(tmp_path, monkeypatch, capsys):
    gpu = importlib.import_module("gpu")
    trained_runs.encoded(tmp_path)
    (corpus,) = (tmp_path / "corpora").iterdir()

    def check(_):
        yield gpu._line("check", "", "", "first", 1)
        raise RuntimeError("no\nkernel")

    def speed(_):
        yield gpu._line("speed", "a", "awd", "tokens/s", 5.0)

    monkeypatch.setitem(gpu.PARTS, "check", check)
    monkeypatch.setitem(gpu.PARTS, "speed", speed)
    words = ["gpu.py", corpus, "check", "speed", "--device", "cpu", "--tiny", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == "failed: check"
    assert "RuntimeError" in capsys.readouterr().err
    (table,) = tmp_path.glob("gpu-*.csv")
    with table.open(encoding="utf-8") as file:
        values = [(line["figure"], line["value"]) for line in csv.DictReader(file)]
    assert values == [
        ("first", "1"),
        (gpu.ERROR, "! RuntimeError: no kernel"),
        ("tokens/s", "5.0"),
    ]
    (page,) = tmp_path.glob("gpu-*.md")
    assert "**check** ended by an error: RuntimeError: no kernel" in page.read_text("utf-8")
