"""Published learning curves: what the suites name is there, and reports do not depend on it."""

import pandas as pd
import pytest
from special_files import SPECIAL

from awd.errors import InputError
from awd.places import PUBLISHED
from awd.report import published_curves as module
from awd.report.published_curves import COLUMNS, published_curves
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.suite import read_suite, suite_files

PLAN = Plan(load_config(CONFIG, {"suites": list(suite_files())}))
SUITES_WITH_CURVES = {name: suite for name, suite in PLAN.suites.items() if suite["curves"]}


def test_the_logs_are_the_rows():
    """Every log exists, of that corpus, and is of the stage and layers that its row is."""
    assert set(SUITES_WITH_CURVES) == {"yoon2019"}
    suite = SUITES_WITH_CURVES["yoon2019"]
    rows = read_suite("yoon2019", "here")[0].rows
    lines = pd.read_csv(PUBLISHED / suite["curves"]["file"])
    logs = {log: epochs.iloc[0] for log, epochs in lines.groupby("log")}
    named = set()
    for row, by_corpus in suite["curves"]["logs"].items():
        for corpus, log in by_corpus.items():
            named.add(log)
            assert corpus == logs[log]["corpus"], log
            assert logs[log]["stage"] == (rows[row].stage or "finetune"), log
            changed = rows[row].set.given()
            model = {"lstm": "LSTM", "gru": "GRU"}[changed.get("cell", "lstm")]
            model += f"-{changed['layers']}" if "layers" in changed else ""
            model = "biLSTM" if changed.get("bidirectional") else model
            assert logs[log]["model"].partition("-no-")[0] == model, log
    repeated = {"ptb-bilstm.log", "ptb-bilstm-finetuned.log", "wiki-lstm-fintune-ep551.log"}
    assert named == set(logs) - repeated, "all but second runs are drawn"


@pytest.mark.parametrize("name", SUITES_WITH_CURVES)
def test_curves_are_read_by_row(name):
    """Numbers of epochs by row and corpus, and the first and last validation loss of one."""
    curves = published_curves(SUITES_WITH_CURVES[name])
    assert list(curves) == COLUMNS
    counts = curves.groupby(["row", "corpus", "stage"]).size()
    assert counts["lstm", "ptb", "train"] == 500
    assert counts["lstm-finetuned", "ptb", "finetune"] == 405
    assert counts["bilstm", "wikitext-2", "train"] == 750
    lstm = curves[(curves["row"] == "lstm") & (curves["corpus"] == "ptb")]
    assert lstm["valid_loss"].iloc[[0, -1]].tolist() == [5.79, 4.12]
    assert curves[["train_loss", "valid_loss"]].notna().all(axis=None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of published files."""
    monkeypatch.setattr(module, "published_file", lambda name: tmp_path / name)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_without_them_there_are_none():
    """A suite that names none, and a checkout without the file, are no mistakes."""
    suite = {"curves": {"file": "absent.csv", "logs": {"lstm": {"ptb": "a.log"}}}}
    for each in ({}, {"curves": None}, suite):
        curves = published_curves(each)
        assert curves.empty
        assert list(curves) == COLUMNS


def test_a_broken_file_is_named(folder):
    """As is a log that it lacks."""
    suite = {"curves": {"file": "x.csv", "logs": {"lstm": {"ptb": "a.log"}}}}
    (folder / "x.csv").write_text("some,text\n1,2\n")
    with pytest.raises(InputError, match=r"x\.csv is not a file of published curves"):
        published_curves(suite)
    (folder / "x.csv").write_text(f"log,{','.join(COLUMNS[1:])}\na.log,wikitext-2,train,1,5,5\n")
    with pytest.raises(InputError, match=r"no log 'a\.log' of ptb, named by row 'lstm'"):
        published_curves(suite)


@pytest.mark.parametrize(("make", "said"), SPECIAL.items())
def test_what_is_no_regular_file_is_not_waited_for(folder, make, said):
    make(folder / "x.csv")
    with pytest.raises(InputError, match=rf"x\.csv is not a file of published curves: .*{said}"):
        published_curves({"curves": {"file": "x.csv", "logs": {}}})
