"""The record of a stage is read, or refused with its path."""

import json

import pytest

from awd.errors import InputError
from awd.runs.folder import RECORD_FORMAT, read_record

RECORD = {
    "format": RECORD_FORMAT,
    "run": "a-run",
    "status": "done",
    "reason": None,
    "spec": {},
    "corpus": {},
    "weights_sha256": None,
}


def write(folder, record):
    (folder / "train.json").write_text(json.dumps(record))


def test_a_record_is_read(tmp_path):
    write(tmp_path, RECORD)
    assert read_record(tmp_path, "train") == RECORD


@pytest.mark.parametrize("key", [key for key in RECORD if key != "format"])
def test_a_key_that_is_missing_is_named(tmp_path, key):
    write(tmp_path, {name: value for name, value in RECORD.items() if name != key})
    with pytest.raises(InputError, match=f"train.json is not a training record: it lacks '{key}'"):
        read_record(tmp_path, "train")


@pytest.mark.parametrize("number", [1, 3, None])
def test_another_format_is_refused(tmp_path, number):
    write(tmp_path, RECORD | {"format": number})
    with pytest.raises(
        InputError, match=f"has format {number}; this version reads {RECORD_FORMAT}"
    ):
        read_record(tmp_path, "train")


def test_a_stage_without_a_record(tmp_path):
    with pytest.raises(InputError, match=r"finetune.json does not exist"):
        read_record(tmp_path, "finetune")
