"""What a run is doing is told from its files alone."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from awd.errors import InputError
from awd.files import read_json
from awd.report import status as module
from awd.report.status import STALE, RunState, State, run_state, run_states
from awd.runs.progress import progress_file
from awd.study.plan import Run
from awd.study.spec import RunSpec

SPEC = RunSpec(corpus="tiny", epochs=8, finetune_epochs=2)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that is trained, fine-tuned and evaluated; nothing of it is there yet."""
    monkeypatch.chdir(tmp_path)
    evaluations = {("finetune", "stream"): []}
    return Run("a-run", SPEC, "f" * 64, ["suite/full"], {"finetune"}, evaluations)


def told(run, tmp_path, stage="train", **changes):
    """Write a progress file as a training does."""
    facts = {"host": socket.gethostname(), "pid": os.getpid(), "written": time.time()}
    facts |= {"epoch": 3, "epochs": 8, "fraction": 0.25, "tokens_per_second": 10_900.0}
    facts |= {"seconds_left": 90.0, "train_perplexity": 120.0, "valid_perplexity": 99.5}
    path = tmp_path / run.name / f"{stage}.progress.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts | changes))
    return path


def recorded(run, stage, state="done"):
    run.folder.mkdir(parents=True, exist_ok=True)
    result = {"epochs": 8, "valid_perplexity": 61.5}
    record = {"status": state, "result": result, "tokens_per_second": 9_000.0}
    (run.folder / f"{stage}.json").write_text(json.dumps(record))


def found(run, tmp_path):
    seen = run_state(run, tmp_path)
    return seen.state, seen.stage


def test_nothing_there_is_waiting(run, tmp_path):
    assert found(run, tmp_path) == ("waiting", "train")


def test_a_fresh_file_is_running_here_and_elsewhere(run, tmp_path):
    """On another machine of the cluster its process cannot be asked for; its age can."""
    told(run, tmp_path)
    assert found(run, tmp_path) == ("running", "train")
    told(run, tmp_path, host="another", pid=1)
    assert found(run, tmp_path) == ("running", "train")


def test_an_old_file_is_a_training_that_is_no_more(run, tmp_path):
    """What it has reached is still told; when it will end is not."""
    told(run, tmp_path, host="another", written=time.time() - STALE - 1)
    seen = run_state(run, tmp_path)
    assert (seen.state, seen.facts["epoch"], seen.facts["seconds_left"]) == ("stopped", 3, None)


def test_a_process_that_is_gone_is_stopped_at_once(run, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    told(run, tmp_path, pid=gone.pid)
    assert found(run, tmp_path) == ("stopped", "train")


def test_a_checkpoint_alone_is_stopped(run, tmp_path):
    (tmp_path / run.name).mkdir()
    (tmp_path / run.name / "train.checkpoint").write_bytes(b"")
    assert found(run, tmp_path) == ("stopped", "train")


def test_a_run_goes_through_its_stages_to_the_evaluation(run, tmp_path):
    """Trained, it waits for fine-tuning; fine-tuned, for evaluation; then it is done."""
    recorded(run, "train")
    assert found(run, tmp_path) == ("waiting", "finetune")
    told(run, tmp_path, "finetune")
    assert found(run, tmp_path) == ("running", "finetune")
    recorded(run, "finetune")
    assert found(run, tmp_path) == ("waiting", "evaluate")
    (run.folder / "finetune.stream.json").write_text("{}")
    assert found(run, tmp_path) == ("done", "finetune")
    assert run_state(run, tmp_path).facts["valid_perplexity"] == 61.5


def test_a_training_that_ends_while_it_is_looked_at_is_not_taken_for_stopped(
    run, tmp_path, monkeypatch
):
    """Its record was not there yet, and its progress file is there no more; a checkpoint is."""
    (tmp_path / run.name).mkdir()
    (tmp_path / run.name / "train.checkpoint").write_bytes(b"")

    def end(checkpoints, name, stage):
        recorded(run, stage)
        return progress_file(checkpoints, name, stage)

    monkeypatch.setattr(module, "progress_file", end)
    assert found(run, tmp_path) == ("waiting", "evaluate")


def test_a_record_that_is_deleted_while_it_is_looked_at_ends_no_watching(
    run, tmp_path, monkeypatch
):
    """Snakemake deletes what a job that failed has written."""
    recorded(run, "train")

    def read_too_late(path):
        path.unlink(missing_ok=True)
        return read_json(path)

    monkeypatch.setattr(module, "read_json", read_too_late)
    assert found(run, tmp_path) == ("waiting", "train")


def test_a_damaged_record_is_named(run, tmp_path):
    recorded(run, "train")
    run.record("train").write_text("{")
    with pytest.raises(InputError, match="is not a JSON file"):
        run_state(run, tmp_path)


def test_a_divergence_is_told_even_if_the_next_stage_went_well(run, tmp_path):
    recorded(run, "train", "diverged")
    recorded(run, "finetune")
    assert found(run, tmp_path)[0] == "diverged"


def test_a_hopeless_training_is_over_once_its_fine_tuning_is(run, tmp_path):
    recorded(run, "train", "hopeless")
    assert found(run, tmp_path) == ("waiting", "finetune")
    recorded(run, "finetune", "hopeless")
    assert found(run, tmp_path) == ("hopeless", "finetune")


def test_a_half_written_file_is_not_there_yet(run, tmp_path):
    """It is written whole; a damaged one on a strange file system is no reason to give up."""
    told(run, tmp_path).write_text("{")
    assert found(run, tmp_path) == ("waiting", "train")


class Plan:
    """As much of a plan as a table of its runs needs."""

    name = "demo"
    checkpoints = Path("results/checkpoints")

    def __init__(self, *runs):
        self.runs = {run.name: run for run in runs}


def test_what_is_over_is_not_looked_at_again(run):
    """Records of a thousand runs are read once, not every two seconds."""
    over = RunState(run, State.DONE, "train", {})
    assert run_states(Plan(run), [over])[0] is over
    assert run_states(Plan(run))[0].state == "waiting"


def test_the_table_shows_what_runs_first_and_counts_the_rest(run, tmp_path, capsys):
    """Epoch, speed, perplexity and time left of the running one; what does not fit is counted."""
    others = [Run(f"other-{n}", SPEC, "f" * 64, ["suite/x", "suite/y"], {"train"}) for n in "12"]
    told(run, tmp_path / "results" / "checkpoints")
    plan = Plan(*others, run)
    module.show_states(plan)
    heading, first, *_, summary = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["run", "row"]
    words = first.split()
    assert words[:4] == ["a-run", "suite/full", "running", "train"]
    assert words[4:] == ["3/8", "25%", "10,900", "99.50", "2", "min"]
    assert summary == "demo: 3 runs: 1 running, 2 waiting"
    cut = module._table(plan, run_states(plan), 160, most=1)
    assert cut.renderables[0].row_count == 1
    assert cut.renderables[1] == "demo: 3 runs: 1 running, 2 waiting (2 not shown)"


@pytest.mark.parametrize("width", [80, 139, 140])
def test_a_narrow_terminal_cuts_names_and_no_numbers(run, tmp_path, width):
    """80 columns have room for what changes; a run is then known by its row and seed."""
    told(run, tmp_path / "results" / "checkpoints")
    long = Run(f"{'long-' * 30}run", SPEC, "f" * 64, [f"suite/{'row-' * 30}"], {"train"})
    console = Console(file=io.StringIO(), width=width)
    console.print(module._table(Plan(long, run), run_states(Plan(long, run)), width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    running, waiting = lines[1:3]
    for word in ("suite/full", "train", "3/8  25%", "99.50", "2 min"):
        assert f" {word} " in f" {running} "
    assert ("a-run" in running) == ("10,900" in running) == (width >= 140)
    assert " waiting" in waiting
    assert "\N{HORIZONTAL ELLIPSIS}" in waiting


def test_a_program_reads_the_same_states(run, tmp_path, capsys):
    waiting = Run("b-run", SPEC, "f" * 64, ["suite/other", "suite/more"], {"train"}, {})
    told(run, tmp_path)
    plan = SimpleNamespace(
        name="demo",
        results=tmp_path / "results",
        checkpoints=tmp_path,
        runs={run.name: run, waiting.name: waiting},
    )
    module.print_json(plan)
    said = json.loads(capsys.readouterr().out)
    assert (said["format"], said["scale"], said["results"]) == (1, "demo", str(plan.results))
    assert said["counts"] == {state: int(state in ("running", "waiting")) for state in State}
    first, second = said["runs"]
    assert (first["run"], first["rows"], first["state"]) == ("a-run", ["suite/full"], "running")
    assert (first["stage"], first["epoch"], first["epochs"]) == ("train", 3, 8)
    assert (first["fraction"], first["seconds_left"]) == (0.25, 90.0)
    assert first["valid_perplexity"] == 99.5
    assert second.keys() == first.keys()
    assert [second[key] for key in ("state", "epoch", "written")] == ["waiting", None, None]


def replace_sleep(monkeypatch, sleep):
    """Let ``status`` call ``sleep``, and no thread of another module, such as one that waits."""
    clock = SimpleNamespace(time=time.time, strftime=time.strftime, sleep=sleep)
    monkeypatch.setattr(module, "time", clock)


def test_watching_ends_by_itself_and_on_ctrl_c(run, monkeypatch, capsys):
    """Quietly, with the last table left on the terminal."""

    def interrupted(_):
        raise KeyboardInterrupt

    replace_sleep(monkeypatch, interrupted)
    monkeypatch.setattr(module, "Console", partial(Console, force_terminal=True, color_system=None))
    module.watch_states(Plan(run))
    assert "1 waiting" in capsys.readouterr().out
    monkeypatch.setattr(module, "run_states", lambda *_: [RunState(run, State.DONE, "train", {})])
    module.watch_states(Plan(run))
    assert "1 done" in capsys.readouterr().out


def test_watching_into_a_file_is_a_line_for_each_change(run, tmp_path, monkeypatch, capsys):
    changes = iter(
        [
            lambda: told(run, tmp_path),
            lambda: told(run, tmp_path, fraction=0.5),  # no change of the epoch
            lambda: told(run, tmp_path, epoch=4),
            lambda: told(run, tmp_path, host="another", written=0),
        ]
    )

    def change(_):
        step = next(changes, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    replace_sleep(monkeypatch, change)
    monkeypatch.setattr(Plan, "checkpoints", tmp_path)
    module.watch_states(Plan(run))
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "a-run train: waiting",
        "a-run train: running, epoch 3, valid perplexity 99.50",
        "a-run train: running, epoch 4, valid perplexity 99.50",
        "a-run train: stopped, epoch 3, valid perplexity 99.50",
    ]


def test_status_needs_neither_torch_nor_numpy():
    """It may be called every few seconds on the head of a cluster."""
    code = "import sys, awd.report.status; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
