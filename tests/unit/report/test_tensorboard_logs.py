"""Learning curves as TensorBoard reads them: the committed records, read back."""

import errno
import sys
from pathlib import Path

import pandas as pd
import pytest

from awd.errors import InputError
from awd.report.build import gather, read_plan
from awd.report.tensorboard_logs import TAGS, write_logs

RESULTS = Path(__file__).parents[3] / "results"


def test_without_the_package_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(InputError, match="pip install tensorboard"):
        write_logs(RESULTS, "paper", tmp_path / "logs")


def test_every_epoch_can_be_read_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = write_logs(RESULTS, "paper", tmp_path / "logs", ["kim2024"])
    plan = read_plan(RESULTS, "paper")
    records, curves, _ = gather(RESULTS, "paper", plan)
    assert {folder.name for folder in folders} <= set(curves["run"])
    assert len(folders) > 3
    for folder in folders:
        read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        lines = curves[curves["run"] == folder.name].sort_values(["stage", "epoch"])
        assert set(read.Tags()["scalars"]) == set(TAGS.values())
        for column, tag in TAGS.items():
            events = read.Scalars(tag)
            assert [event.step for event in events] == list(lines["epoch"])
            assert [event.value for event in events] == pytest.approx(list(lines[column]), rel=1e-6)
        started = records[records["run"] == folder.name]["started"].iloc[0]
        first = events[0].wall_time - lines["seconds"].iloc[0]
        assert first == pytest.approx(pd.Timestamp(started).timestamp(), abs=1)


def test_a_folder_with_files_and_an_unknown_study_are_refused(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "old").touch()
    with pytest.raises(InputError, match="exists: name a new folder"):
        write_logs(RESULTS, "paper", tmp_path)
    with pytest.raises(InputError, match="suite 'kim2042' is not in the plan"):
        write_logs(RESULTS, "paper", tmp_path / "logs", ["kim2042"])
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_leaves_no_folder_and_no_traceback(tmp_path, monkeypatch, capfd):
    """The thread that writes ends with an error, which is raised to the caller."""
    pytest.importorskip("tensorboard")
    from tensorboard.summary.writer.record_writer import RecordWriter

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_logs(RESULTS, "paper", tmp_path / "logs", ["kim2024"])
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in capfd.readouterr().err
