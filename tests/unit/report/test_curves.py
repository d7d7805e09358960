"""Files of learning curves are one frame: each line once, in the order of the files."""

import pandas as pd
import pytest

from awd.errors import InputError
from awd.report.curves import CURVE_TYPES, join, typed

HEADER = "epoch,train_loss,valid_loss,valid_perplexity,learning_rate,averaging,event,seconds"


def curve(folder, run, *lines, header=HEADER, end="\n"):
    path = folder / f"{run}.csv"
    path.write_text("\n".join([header, *lines]) + end, encoding="utf-8")
    return path, {"run": run, "corpus": "ptb", "seed": 1, "stage": "train"}


def test_files_are_joined_in_their_order(tmp_path):
    """Also where every other one has a column of its own."""
    files = [
        curve(tmp_path, "b", "1,5.5,5.25,190.5,30.0,0,,2.5", "2,5,5,150.25,30.0,1,None,2.5"),
        curve(tmp_path, "a", "1,6,100.5,7", header="epoch,valid_loss,valid_perplexity,gradient"),
        curve(tmp_path, "c", "1,5.5,5.25,191.5,30.0,0,averaging starts,2.5"),
    ]
    frame = join(files)
    assert list(frame["run"]) == ["b", "b", "a", "c"]
    assert list(frame["epoch"]) == [1, 2, 1, 1]
    assert list(frame["valid_perplexity"]) == [190.5, 150.25, 100.5, 191.5]
    assert list(frame["event"]) == ["", "None", "", "averaging starts"], "None is a word here"
    assert frame["gradient"].dropna().tolist() == [7]
    assert frame["averaging"].isna().tolist() == [False, False, True, False]


def test_no_files_are_an_empty_frame_with_all_columns():
    frame = join([])
    assert list(frame) == list(CURVE_TYPES)
    assert frame.empty


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    files = [
        curve(tmp_path, "a", "1,5,5,150,30,0,,2", "2,4,4", end=""),
        curve(tmp_path, "b", end=""),
    ]
    assert join(files)[["run", "epoch"]].values.tolist() == [["a", 1]]


@pytest.mark.parametrize(
    ("line", "header", "sentence"),
    [
        ("1,5,5,many,30,0,,2", HEADER, "many"),
        ("1,5,5,150,30,0,,2,3,4", HEADER, "Length of header"),
        ("1,5", "epoch,valid_loss", "it has no column 'valid_perplexity'"),
    ],
)
def test_the_file_that_is_no_curve_is_named(tmp_path, line, header, sentence):
    """Of several that are read together."""
    good = [curve(tmp_path, name, "1,5,5,150,30,0,,2") for name in ("a", "c")]
    bad = curve(tmp_path, "b", line, header=header)
    with pytest.raises(InputError, match=f"^{bad[0]} is not a learning curve: .*{sentence}"):
        join([good[0], bad, good[1]])


def test_a_file_that_is_not_there_is_named(tmp_path):
    known = {"run": "a", "corpus": "ptb", "seed": 1, "stage": "train"}
    with pytest.raises(InputError, match=r"a\.csv cannot be read"):
        join([(tmp_path / "a.csv", known)])


def test_columns_get_their_types():
    frame = typed(pd.DataFrame({"epoch": ["1"], "other": ["x"]}), CURVE_TYPES)
    assert frame["epoch"].tolist() == [1]
    assert frame["other"].tolist() == ["x"]
