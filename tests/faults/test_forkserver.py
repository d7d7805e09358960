"""Trainings that a server forks: the same results, signals and exit codes as without it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from trainings import ROOT, Training

from awd.cli import STOPPED
from awd.forkserver import KILLED, VARIABLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("socket"),
    pytest.mark.skipif(sys.platform != "linux", reason="there is no server but on Linux"),
]

PARENT = f"""
import os, sys
from awd import forkserver
forkserver.start()
print(os.environ["{VARIABLE}"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def hangups():
    """Obeyed by what a test starts, also where nohup has started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def parent(hangups):  # noqa: ARG001 - its process inherits
    """A process that has started a server; what it says is the server's variable."""
    words = [sys.executable, "-c", PARENT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=ROOT, text=True, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def socket(parent, monkeypatch) -> Path:
    """The server's socket, told to all that the test starts."""
    told = parent.stdout.readline().strip()
    monkeypatch.setenv(VARIABLE, told)
    return Path(json.loads(told)[1])


@pytest.fixture
def training(texts, tmp_path):
    return Training(tmp_path, texts)


@pytest.fixture
def long_training(texts, tmp_path):
    """One that does not come to its end in a test; what is left of it ends with the test."""
    yield Training(tmp_path, texts, epochs=100_000)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(tmp_path) in word for word in process.info["cmdline"] or ()):
            process.kill()


def trainer(training: Training) -> psutil.Process:
    """The process that trains, as its progress tells."""
    training.wait_for_save()
    progress = training.checkpoints / training.run.name / "train.progress.json"
    return psutil.Process(json.loads(progress.read_text())["pid"])


def forked(training: Training, parent: subprocess.Popen) -> psutil.Process:
    """The process that trains, which is the server's."""
    process = trainer(training)
    assert process.ppid() in [child.pid for child in psutil.Process(parent.pid).children()]
    return process


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_results_are_the_same(training, undisturbed):
    for words in (["train"], ["finetune"], ["evaluate", "--stage", "finetune"]):
        assert training.start_afresh(*words).wait(60) == 0, training.said.read_text()
    for stage in ("train", "finetune"):
        assert training.outcome(stage) == undisturbed().outcome(stage)
    assert (training.run / "finetune.stream.json").exists()


@pytest.mark.parametrize("kind", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"])
def test_signals_are_passed_on(long_training, parent, kind):
    command = long_training.start_afresh()
    forked(long_training, parent)
    command.send_signal(signal.Signals[kind])
    assert command.wait(60) == STOPPED
    assert f"stopped by {kind}" in long_training.said.read_text()


def test_it_stops_when_its_command_is_killed(long_training, parent):
    """And saves before, as at any other stop."""
    command = long_training.start_afresh()
    process = forked(long_training, parent)
    command.kill()
    wait_for(lambda: not process.is_running())
    assert "stopped by SIGTERM" in long_training.said.read_text()


def test_a_killed_process_is_a_failed_command(long_training, parent):
    command = long_training.start_afresh()
    forked(long_training, parent).kill()
    assert command.wait(60) == KILLED
    assert long_training.said.read_text().endswith("awd: the process of this job was killed\n")


def test_jobs_outlive_the_server(long_training, parent):
    """They are told to stop as before."""
    command = long_training.start_afresh()
    server = forked(long_training, parent).parent()
    server.kill()
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    long_training.wait_for_save()
    command.terminate()
    assert command.wait(60) == STOPPED


def test_mistakes_are_one_sentence(training):
    command = training.start_afresh("train", "--spec", '{"corpus": "mine", "hiden_size": 3}')
    assert command.wait(60) == 1
    (sentence,) = training.said.read_text().splitlines()
    assert "did you mean 'hidden_size'?" in sentence


def test_it_ends_with_the_process_that_started_it(training, undisturbed, parent, socket):
    """Its folder goes with it, and a command that finds it gone does its work itself."""
    parent.kill()
    wait_for(lambda: not socket.parent.exists())
    assert training.start_afresh().wait(60) == 0, training.said.read_text()
    assert training.outcome() == undisturbed().outcome()


def test_another_environment_is_not_served(long_training, socket, monkeypatch):
    """A server has its own packages loaded; who has others does not get these."""
    monkeypatch.setenv(VARIABLE, json.dumps(["/elsewhere", str(socket)]))
    command = long_training.start_afresh()
    assert trainer(long_training).pid == command.pid
    command.kill()
    command.wait()
