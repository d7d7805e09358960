"""Words in files keep their spelling: committed records, curves and plans are read by it."""

import json
from pathlib import Path

import pytest

from awd.vocabulary import HELD_OUT, Device, Event, Split, Stage, Status, stages_to

RUNS = Path(__file__).parents[2] / "results" / "runs"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (Stage, ["train", "finetune"]),
        (Split, ["train", "valid", "test"]),
        (Status, ["done", "partial", "diverged", "hopeless", "leaks", "missing"]),
        (Event, ["averaging starts", "learning rate"]),
        (Device, ["cpu", "cuda"]),
    ],
)
def test_the_spelling_of_words(words, expected):
    assert [str(word) for word in words] == expected
    assert json.loads(json.dumps(dict.fromkeys(words, 1))) == dict.fromkeys(expected, 1)


def test_fine_tuning_comes_after_training():
    assert stages_to("train") == (Stage.TRAIN,)
    assert stages_to("finetune") == (Stage.TRAIN, Stage.FINETUNE)


def test_perplexity_is_reported_on_all_splits_but_the_first():
    assert tuple(Split)[1:] == HELD_OUT


def test_committed_records_use_these_words():
    records = [json.loads(path.read_text(encoding="utf-8")) for path in RUNS.glob("*/*.json")]
    assert records
    assert {record["stage"] for record in records} == set(Stage)
    assert {record["status"] for record in records} <= set(Status)
    assert {each["kind"] for record in records for each in record["devices"]} <= set(Device)


def test_committed_curves_use_these_events():
    found = set()
    for path in RUNS.glob("*/*.csv"):
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        column = head.split(",").index("event")
        found |= {line.split(",")[column] for line in lines} - {""}
    assert found
    assert all(event.startswith(tuple(Event)) for event in found)
