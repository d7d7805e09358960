"""The files of a table."""

import pandas as pd
from table_study import study

from awd.report import tables
from awd.report.tables.files import csv


def test_columns_and_order(tmp_path):
    """The columns are the documented ones; lines are in the suite's order."""
    suite, table = study(tmp_path)
    assert csv(table).splitlines()[0] == (
        "suite,row,label,corpus,stage,method,train_tokens,params,"
        "published_train,published_valid,published_test,train,valid,"
        "valid_sd,test,test_sd,n,delta_test,delta_low,delta_high,p,p_holm,interval,"
        "noise_valid,noise_test,noise_freedom,noise_trainings,left_out,"
        "seconds_per_epoch,status,verdict,distance,"
        "difference_valid,difference_valid_low,difference_valid_high,"
        "difference_test,difference_test_low,difference_test_high,"
        "incomparable,note"
    )
    wanted = [(row["row"], row["corpus"]) for row in suite["rows"]]
    assert list(zip(table["row"], table["corpus"], strict=True)) == wanted


def test_what_a_spreadsheet_reads(tmp_path):
    """Text that it would compute is marked as text; numbers stay numbers; accents are UTF-8."""
    labels = ["=1+1", "+3", "-x", "@at", "\tx", "caf\u00e9 \u4e2d", "a=b", "\u2212 dropout", "'x"]

    def change(plan):
        for row, label in zip(plan["suites"][0]["rows"], labels, strict=False):
            row["label"] = label

    _, table = study(tmp_path, change=change)
    text = csv(table)
    assert not text.startswith("\ufeff")
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    read = pd.read_csv(tmp_path / "table.csv")
    marked = [f"'{label}" for label in labels[:5]] + labels[5:]
    assert list(read["label"][: len(labels)]) == marked
    assert (read["delta_test"] < 0).any(), "they begin with a minus sign"
    numbers = [column for column in table if table[column].dtype == "float64"]
    for column in numbers:
        pd.testing.assert_series_equal(read[column], table[column], check_dtype=False)


def test_written_files(tmp_path):
    """csv keeps every digit; the files, or those asked for, have the name of the suite."""
    suite, table = study(tmp_path)
    texts = tables.typeset(suite, table, "paper")
    paths = tables.write("merity2018", texts, tmp_path / "tables")
    names = [path.name.removeprefix("merity2018") for path in paths]
    assert names == [".csv", ".md", ".tex", ".html"]
    assert tables.write("merity2018", texts, tmp_path / "tables", ["tex", "png"]) == [paths[2]]
    assert tables.typeset(suite, table, "paper", ["tex", "png"]) == {"tex": texts["tex"]}
    read = pd.read_csv(paths[0])
    assert list(read["test"].dropna()) == list(table["test"].dropna())
