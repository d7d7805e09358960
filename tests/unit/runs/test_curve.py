"""A curve is written as numbers, and its digest is that of the numbers without times."""

import csv
import hashlib

import pytest

from awd.errors import InputError
from awd.runs.curve import COLUMNS, TIMES, digest, write_curve

HISTORY = [
    dict.fromkeys(COLUMNS, 0.1) | {"epoch": epoch, "event": event, "seconds": 1.25 * epoch}
    for epoch, event in [(1, ""), (2, "averaging starts")]
]


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "train.csv"
    write_curve(path, HISTORY)
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert lines == [{key: str(value) for key, value in line.items()} for line in HISTORY]


def test_the_digest_is_that_of_the_first_columns(tmp_path):
    """As ``cut -d, -f1-7 train.csv | sha256sum`` prints it."""
    path = tmp_path / "train.csv"
    write_curve(path, HISTORY)
    lines = [line.split(",")[:7] for line in path.read_text().splitlines()]
    text = "".join(f"{','.join(cells)}\n" for cells in lines)
    assert digest(path) == hashlib.sha256(text.encode()).hexdigest()


def test_times_and_line_ends_do_not_count_and_all_else_does(tmp_path):
    path, other = tmp_path / "train.csv", tmp_path / "other.csv"
    write_curve(path, HISTORY)
    write_curve(other, [line | dict.fromkeys(TIMES, 7.5) for line in HISTORY])
    assert digest(other) == digest(path)
    other.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digest(other) == digest(path)
    for column in set(COLUMNS) - set(TIMES):
        write_curve(other, [HISTORY[0], HISTORY[1] | {column: "0.2"}])
        assert digest(other) != digest(path), column
    write_curve(other, HISTORY[:1])
    assert digest(other) != digest(path)


def test_a_curve_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*train\.csv"):
        digest(tmp_path / "train.csv")
