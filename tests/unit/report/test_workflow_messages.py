"""What the terminal shows while Snakemake runs."""

import io
import json
import logging
import threading
from pathlib import Path

import pytest
from rich.console import Console

from awd.report.workflow_messages import STOPPING, Narrator, _is_shown, where_to_begin

RUN = {"run": "a-run"}


@pytest.fixture
def terminal():
    return io.StringIO()


@pytest.fixture
def narrator(terminal, tmp_path):
    return Narrator(Console(file=terminal, width=200), results=tmp_path)


def event(kind: str, message: str = "", **facts) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, (), None)
    record.__dict__.update({"event": kind} if kind else {}, **facts)
    return record


def begin(narrator, number, rule, wildcards, log=()):
    facts = {"rule_name": rule, "wildcards": wildcards, "log": log, "output": ["a.csv"]}
    narrator.emit(event("job_info", jobid=number, **facts))


def end(narrator, number, done, total):
    narrator.emit(event("job_finished", job_id=number))
    narrator.emit(event("progress", done=done, total=total))


def write(tmp_path, name, record):
    path = tmp_path / "runs" / "a-run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def write_progress(tmp_path):
    path = tmp_path / "checkpoints" / "a-run" / "train.progress.json"
    path.parent.mkdir(parents=True)
    facts = {"epoch": 3, "epochs": 8, "fraction": 0.25, "tokens_per_second": 10_900.0}
    facts |= {"seconds_left": 90.0, "train_perplexity": 120.0, "valid_perplexity": 99.5}
    path.write_text(json.dumps(facts))


def test_the_steps_of_a_workflow_are_known_before_the_first_is_done(narrator):
    narrator.emit(event("run_info", stats={"train": 2, "total": 10}))
    narrator.interrupted = True
    assert "Stopped. 0 of 10 steps are done" in narrator.explain_failure(["snakemake"])


def test_a_workflow_that_stops_says_so_at_once(narrator, terminal):
    """Before its trainings have saved what they have, which takes seconds."""
    message = "Terminating processes on user request, this might take some time."
    narrator.emit(event("", message))
    assert terminal.getvalue() == f"{STOPPING}\n"
    assert not _is_shown(event("", message))


@pytest.mark.parametrize(("suites", "table"), [(["mine"], "mine"), (["mine", "other"], "all")])
def test_the_last_line_names_page_and_table(suites, table):
    assert where_to_begin(Path("results/demo"), suites) == (
        f"Begin with results/demo/report.html, or results/demo/tables/{table}.md"
    )


def test_a_finished_job_is_one_line_with_its_result(narrator, terminal, tmp_path):
    result = {"epochs": 1, "valid_perplexity": 61.5}
    done = {"status": "done", "reason": None, "seconds": 40, "result": result}
    write(tmp_path, "train.json", done)
    write(tmp_path, "finetune.json", done | {"status": "diverged", "reason": "nan"})
    splits = {"test": {"perplexity": 1234.5}}
    write(tmp_path, "train.stream.json", {"status": "done", "splits": splits})
    write(tmp_path, "train.cache-1-1-1.json", {"status": "leaks", "splits": splits})
    begin(narrator, 1, "train", RUN)
    begin(narrator, 2, "finetune", RUN)
    begin(narrator, 3, "evaluate", RUN | {"stage": "train", "method": "stream"})
    begin(narrator, 4, "evaluate", RUN | {"stage": "train", "method": "cache-1-1-1"})
    begin(narrator, 5, "collect", {})
    for number in range(1, 6):
        end(narrator, number, number, 5)
    assert terminal.getvalue().splitlines() == [
        "1/5 train a-run: 1 epoch, 40 s, valid perplexity 61.50",
        "2/5 finetune a-run: 1 epoch, 40 s, diverged: nan",
        "3/5 evaluate a-run train stream: test perplexity 1,234.50",
        "4/5 evaluate a-run train cache-1-1-1: leaks",
        "5/5 collect a.csv",
    ]


def test_a_record_that_is_not_there_yet_leaves_the_line_short(narrator, terminal):
    begin(narrator, 1, "train", RUN)
    end(narrator, 1, 1, 1)
    assert terminal.getvalue() == "1/1 train a-run\n"


def test_failed_jobs_are_listed_with_the_ends_of_their_logs(narrator, tmp_path):
    log, empty = tmp_path / "train.log", tmp_path / "empty.log"
    log.write_text("\n".join(f"line {number}" for number in range(9)))
    empty.write_text("")
    begin(narrator, 1, "train", RUN, [str(log)])
    begin(narrator, 2, "finetune", RUN, [str(empty)])
    begin(narrator, 3, "evaluate", RUN, [str(tmp_path / "none.log")])
    for number in (1, 2, 3, 1):  # tried twice
        narrator.emit(event("job_error", jobid=number))
    said = narrator.explain_failure(["snakemake", "--config", "a=b c"])
    assert said.count("Failed: train a-run") == 1
    assert "    line 6\n    line 7\n    line 8\n" in said
    assert "line 5" not in said
    assert "(empty: the job was killed, or could not start)" in said
    assert "(missing: the job could not start)" in said
    assert "No step is done. To see each run: python -m awd status" in said
    assert said.endswith("To try again: snakemake --config 'a=b c'")


def test_a_job_that_is_tried_again_is_a_line_with_the_reason(narrator, terminal, tmp_path):
    """At the end it is not among those that failed, unless it fails again."""
    log = tmp_path / "train.log"
    log.write_text("epoch 2\nstopped by SIGTERM in epoch 3\n")
    begin(narrator, 1, "train", RUN, [str(log)])
    message = (
        "SLURM-job '3' failed, SLURM status is: 'TIMEOUT'. Detailed failure reason unavailable "
        "(status command is not 'sacct').For further error details see the log"
    )
    narrator.emit(event("job_error", jobid=1, rule_msg=message))
    narrator.emit(event("", "Trying to restart job 1."))
    reason = "SLURM-job '3' failed, SLURM status is: 'TIMEOUT'."
    assert terminal.getvalue() == (f"again: train a-run: {reason}; stopped by SIGTERM in epoch 3\n")
    assert "Failed" not in narrator.explain_failure(["snakemake"])
    narrator.emit(event("job_error", jobid=1, rule_msg=message))
    assert f"Failed: train a-run: {reason}\n" in narrator.explain_failure(["snakemake"])
    end(narrator, 1, 1, 1)
    assert "Failed" not in narrator.explain_failure(["snakemake"])


def test_of_a_job_that_slurm_refuses_the_reason_is_shown(narrator, terminal, tmp_path):
    """Its log was never begun."""
    begin(narrator, 1, "train", RUN, [str(tmp_path / "none.log")])
    message = (
        "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition: gpu\n"
        "sbatch: error: Batch job submission failed'.\n    sbatch call:\n"
    )
    for _ in range(2):
        narrator.emit(event("job_error", jobid=1, rule_msg=message))
        narrator.emit(event("", "Trying to restart job 1."))
    narrator.emit(event("job_error", jobid=1, rule_msg=message))
    reason = "train a-run: sbatch: error: invalid partition: gpu\n"
    assert terminal.getvalue() == f"again: {reason}" * 2
    said = narrator.explain_failure(["snakemake"])
    assert said.startswith(f"Failed: {reason}")
    assert "sbatch call" not in said


@pytest.mark.parametrize(("saved", "words"), [(True, "1 training"), (False, "0 trainings")])
def test_a_stopped_workflow_is_one_paragraph(narrator, tmp_path, saved, words):
    """Only a training that has a checkpoint has saved one."""
    if saved:
        path = tmp_path / "checkpoints" / "a-run" / "train.checkpoint"
        path.parent.mkdir(parents=True)
        path.touch()
    begin(narrator, 1, "train", RUN)
    narrator.emit(event("", "Terminating processes on user request, this might take some time."))
    narrator.emit(event("job_error", jobid=1))
    said = narrator.explain_failure(["snakemake", "--cores", "2"])
    assert "\n" not in said
    assert said.startswith(
        f"Stopped. 0 of 1 steps are done; {words} ended early and saved a checkpoint."
    )
    assert said.endswith("run the same command: snakemake --cores 2")


def test_a_running_training_has_a_bar(tmp_path):
    """Once it has a progress file, until it is finished; of other jobs there is none."""
    terminal = io.StringIO()
    console = Console(file=terminal, width=150, force_terminal=True)
    narrator = Narrator(console, results=tmp_path)
    begin(narrator, 1, "train", RUN)
    begin(narrator, 2, "evaluate", RUN | {"stage": "train", "method": "stream"})
    narrator.look()
    assert narrator.bars.tasks == []
    write_progress(tmp_path)
    narrator.start()
    narrator.look()
    (task,) = narrator.bars.tasks
    assert (task.description, task.completed) == ("train a-run", 0.25)
    words = "epoch 3/8  10,900 tokens/s  valid perplexity 99.50  2 min left"
    assert task.fields["words"] == words
    end(narrator, 1, 1, 2)
    assert narrator.bars.tasks == []
    narrator.stop()
    narrator.stop()  # also at the end of the process
    assert "1/2 train a-run" in terminal.getvalue()


def test_a_training_that_finishes_while_its_bar_is_made_leaves_none(
    narrator, tmp_path, monkeypatch
):
    begin(narrator, 1, "train", RUN)
    write_progress(tmp_path)
    finish = threading.Thread(target=end, args=(narrator, 1, 1, 2))
    add = narrator.bars.add_task

    def add_late(*words, **facts):
        finish.start()
        if not narrator.changing.locked():
            finish.join()
        return add(*words, **facts)

    monkeypatch.setattr(narrator.bars, "add_task", add_late)
    narrator.look()
    finish.join()
    assert narrator.bars.tasks == []


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (event("job_info"), False),
        (event("", "Select jobs to execute..."), False),
        (event("", "RuleException:\nCalledProcessError in file x"), False),
        (event("", "Restored previous version of a.png (updating job failed)."), False),
        (event("run_info", "Job stats:"), True),
        (event("error", "LockException: Directory cannot be locked"), True),
        (event("", "Job 3 has been submitted with SLURM jobid 5"), True),
    ],
)
def test_of_snakemakes_own_messages_those_that_people_need_are_shown(record, shown):
    assert _is_shown(record) is shown
