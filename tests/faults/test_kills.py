"""Trainings that are killed, stopped and started again end as if nothing had happened."""

import itertools
import os
import random
import shutil
import signal
import sys
import time
from datetime import UTC, datetime

import pytest
from patience import PATIENCE, wait_until
from trainings import Training, freeze_after_save, wait_until_frozen

from awd.machine.interrupt import STOPPED
from awd.report.records import collect
from awd.runs import provenance
from awd.training.trainer import STOP

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "32"))
LIVES = 8  # of a run, before it may come to its end
KILLED = -signal.SIGKILL
CASES = {
    "lstm-nt-asgd": {},
    "gru-adamw": {"cell": "gru", "optimizer": "adamw", "learning_rate": 0.01, "seed": 2},
}


@pytest.fixture
def training(texts, tmp_path):
    return Training(tmp_path, texts)


@pytest.mark.parametrize("stage", ["train", "finetune"])
@pytest.mark.parametrize("case", CASES)
def test_killed_at_random_moments(texts, undisturbed, tmp_path, case, stage):
    """In each of the four cases a quarter of KILLS, after its start or after a checkpoint."""
    whole = undisturbed(**CASES[case])
    chance, kills, runs = random.Random(stage), 0, 0
    while kills < KILLS // 4:
        training = Training(tmp_path / str(runs), texts, **CASES[case])
        if stage == "finetune":
            training.copy_trained(whole)
        code, lives = KILLED, 0
        while code == KILLED and lives < LIVES:
            process = training.start(stage)
            if chance.random() < 0.7:
                training.wait_for_save(stage, process.is_alive)
            process.join(chance.uniform(0, 0.15))
            process.kill()
            process.join()
            code = process.exitcode
            kills, lives = kills + (code == KILLED), lives + 1
        assert training.end(stage) == 0, training.said.read_text()
        assert training.outcome(stage) == whole.outcome(stage)
        assert training.files(stage) == whole.files(stage)
        runs += 1
    print(f"{case}, {stage}: {kills} kills in {runs} runs")


def kill_at(number: int, folder: str) -> None:
    """Kill this process when it touches a file in ``folder`` for the ``number``-th time."""
    touches = 0

    def touched(event, arguments):
        nonlocal touches
        ours = (isinstance(argument, str) and argument.startswith(folder) for argument in arguments)
        if (event == "open" or event.startswith("os.")) and any(ours):
            touches += 1
            if touches == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)


def test_killed_at_each_touch_of_its_files(texts, undisturbed, tmp_path):
    """The n-th attempt dies at the n-th file opened, renamed or deleted, until one gets through."""
    brief = {"epochs": 2, "batch_size": 20}
    training, code, kills = Training(tmp_path, texts, **brief), KILLED, 0
    while code == KILLED:
        code = training.end(fault=kill_at, number=kills + 1, folder=f"{tmp_path}/")
        kills += code == KILLED
    assert code == 0, training.said.read_text()
    assert kills > 20
    assert training.outcome() == undisturbed(**brief).outcome()
    assert training.files() == undisturbed(**brief).files("train")
    print(f"{kills} kills, each at another touch")


def test_asked_to_stop(training, undisturbed):
    """It saves and says so by its exit code; nothing looks finished until it is."""
    for kind in STOP:
        process = training.start(fault=freeze_after_save)
        wait_until_frozen(process)
        os.kill(process.pid, kind)
        os.kill(process.pid, signal.SIGCONT)
        process.join(PATIENCE)
        assert process.exitcode == STOPPED
        assert training.files() == []
    assert training.end() == 0
    assert training.outcome() == undisturbed().outcome()
    assert training.record()["resumes"] == len(STOP)


def ignore_hangups() -> None:
    """Ignore hangups as ``nohup`` does for the command that it starts; freeze after a save."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    freeze_after_save()


def test_after_nohup_the_terminal_may_close(training, undisturbed):
    process = training.start(fault=ignore_hangups)
    wait_until_frozen(process)
    os.kill(process.pid, signal.SIGHUP)
    os.kill(process.pid, signal.SIGCONT)
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert training.outcome() == undisturbed().outcome()


@pytest.mark.parametrize("killed", [False, True])
def test_two_processes_of_one_training(training, undisturbed, killed):
    """The second waits for the first, and goes on where that was killed, or has nothing to do."""
    first = training.start(fault=freeze_after_save)
    wait_until_frozen(first)
    second = training.start()
    wait_until(lambda: "waiting for it" in training.said.read_text() or not second.is_alive())
    assert second.is_alive()
    os.kill(first.pid, signal.SIGKILL if killed else signal.SIGCONT)
    for process in (first, second):
        process.join(PATIENCE)
    assert (first.exitcode, second.exitcode) == (KILLED if killed else 0, 0)
    assert training.outcome() == undisturbed().outcome()
    assert training.record()["resumes"] == killed
    assert training.files() == undisturbed().files("train")


def turn_back_the_clock() -> None:
    """At each look at it, the wall clock is an hour before the last."""
    looks = itertools.count()

    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.fromtimestamp(2e9 - 3600 * next(looks), zone)

    provenance.datetime = Clock
    time.time = lambda: Clock.now(UTC).timestamp()


def test_the_clock_is_moved_back(training, undisturbed):
    """Checkpoints go by another clock; records only repeat what this one said."""
    process = training.start(fault=turn_back_the_clock)
    for _ in range(2):
        training.wait_for_save("train", process.is_alive)
    process.kill()
    process.join()
    assert training.end(fault=turn_back_the_clock) == 0
    assert training.outcome() == undisturbed().outcome()
    assert training.record()["ended"] < training.record()["started"]
    assert training.record()["seconds"] > 0
    evaluate = ("evaluate", "--stage", "train")
    assert training.end(*evaluate, fault=turn_back_the_clock) == 0, training.said.read_text()
    planned = {key: training.record()[key] for key in ("corpus", "spec")}
    plan = {"runs": {training.run.name: planned}}
    records, curves = collect(plan | {"suites": []}, training.run.parent)
    assert (list(records["split"]), len(curves)) == (["train", "valid", "test"], 6)


@pytest.mark.parametrize("reader", ["finetune", "evaluate"])
def test_results_that_are_lost_are_written_again(training, undisturbed, reader):
    """Nothing is trained again; a checkpoint stays until somebody has read the weights, or longer.

    Workflow engines delete the results of a job that they think has failed after all.
    """
    assert training.end() == 0
    shutil.rmtree(training.run)
    training.said.unlink()
    assert training.end() == 0
    assert "epoch 1/" not in training.said.read_text()
    assert training.record()["resumes"] == 1
    assert training.outcome() == undisturbed().outcome()
    stage = () if reader == "finetune" else ("--stage", "train")
    for keep in (True, False):
        assert training.end(reader, *stage, "--keep-checkpoints", keep) == 0
        assert bool(list(training.checkpoints.rglob("train.checkpoint"))) == keep
