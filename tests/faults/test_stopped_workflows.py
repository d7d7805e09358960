"""Bad days of a whole workflow: killed, started twice, out of memory, with clocks that differ."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from patience import wait_until
from projects import end_all, held, hold, let_hold, make_project, run, snakemake, start

from awd import corpora
from awd.machine.interrupt import NOTHING_DONE, STOPPING_ALREADY
from awd.report.workflow_messages import STOPPING

pytestmark = pytest.mark.slow

SUITE = """
title: A study of some seconds
base_row: full
base:
  hidden_size: 12
  embedding_size: 12
  tied: true
  weight_drop: 0.2
  dropout_output: 0.2
  batch_size: 4
  bptt: 10
  variable_bptt: true
  optimizer: nt-asgd
  non_monotone_interval: 1
  learning_rate: 30
  epochs: 4
rows:
  full: {label: it fits}
  hungry: {label: it does not, set: {hidden_size: 100000000, tied: false}}
figures: [curves]
scales:
  demo: {corpora: [mine]}
  small: {corpora: [mine]}
  paper: {corpora: [mine]}
"""
TABLE = "results/demo/tables/study.csv"
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> Path:
    """The project after a run of all that can be run: one training wants too much memory."""
    project = make_project(tmp_path_factory.mktemp("workflow") / "project", study=SUITE)
    let_hold(project, "awd/runs/checkpoint.py", "Checkpoint.save")
    answer = run(["snakemake", "--cores", "2", TABLE], project)
    assert answer.returncode == 1
    (project / "said").write_text(answer.stdout)
    return project


def trained(project: Path) -> Path:
    """The folder of the run that fits."""
    (folder,) = project.glob("results/runs/mine-lstm1x12-*")
    return folder


@pytest.fixture
def project(failed, tmp_path) -> Iterator[Path]:
    """A copy of the project whose text is encoded and whose models are not trained."""
    project = Path(shutil.copytree(failed, tmp_path / "project", symlinks=True))
    shutil.rmtree(trained(project))
    yield project
    end_all(project)


def outcome(project: Path) -> tuple[bytes, list[str]]:
    """Weights and losses of the training, as far as no clock has a part in them."""
    folder = trained(project)
    columns = (line.split(",")[:-2] for line in (folder / "train.csv").read_text().splitlines())
    return (folder / "train.safetensors").read_bytes(), [",".join(line) for line in columns]


def record(project: Path) -> str:
    """What Snakemake is asked for: the record of the training that fits."""
    (path,) = project.glob("results/demo/plans/*.json")
    names = json.loads(path.read_text())["runs"]
    (run,) = [name for name in names if "1x12" in name]
    return f"results/runs/{run}/train.json"


def start_training(project: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """Snakemake in a process group of its own, and its training, which stands still.

    The training has a checkpoint, and does not finish before a signal has come to it.
    """
    hold(project)
    words = ["--cores", "2", "--config", "checkpoint_minutes=0.001", "--", record(project)]
    process = start(["snakemake", *words], project, start_new_session=True)
    return process, wait_until_held(project, process)


def wait_until_held(project: Path, process: subprocess.Popen) -> psutil.Process:
    """Wait until a process of the workflow that ``process`` began stands still, and return it."""
    wait_until(lambda: held(project) or process.poll() is not None)
    assert process.poll() is None, process.stdout.read()
    (found,) = held(project)
    return found


def is_sent(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether this signal waits for the process, which stands still, to go on."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    waiting = re.search(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE)[1]
    return bool(int(waiting, 16) >> (number - 1) & 1)


def test_a_row_without_enough_memory_stops_no_other(failed):
    """Its log says what was missing; the report has the other row's numbers."""
    (log,) = failed.glob("results/logs/train-mine-lstm1x100000000-*.log")
    assert "awd: out of memory: this job held up to" in log.read_text()
    said = (failed / "said").read_text()
    _, _, listed = said.partition(f"Failed: train {log.stem.removeprefix('train-')}\n")
    assert listed.splitlines()[1].strip().startswith("awd: out of memory")
    assert "python -m awd status" in listed
    assert "Error" not in said
    assert len(said.splitlines()) < 50
    assert len(list(failed.glob("results/runs/*/train.stream.json"))) == 1
    answer = run(["awd", "report", "scale=demo", "parts=tables"], failed)
    assert answer.returncode == 0, answer.stdout
    status = {line.split(",")[1]: line for line in (failed / TABLE).read_text().splitlines()}
    assert ",done," in status["full"]
    assert ",missing," in status["hungry"]


def read_to(line: str, process: subprocess.Popen) -> str:
    """What the process says next, to the end of this line."""
    said = []
    while said[-1:] != [f"{line}\n"]:
        said.append(process.stdout.readline())
        assert said[-1], f"it ended without {line!r}: {''.join(said)}"
    return "".join(said)


def test_killed_and_started_again(failed, project):
    """It says that the folder is locked, and how to free it; then all goes on.

    A second one refuses to work while the first does, and does not disturb it. Where jobs outlive
    Snakemake, they are not disturbed, and not doubled.
    """
    process, _ = start_training(project)
    second = run(["snakemake", "--cores", "2", record(project)], project)
    assert second.returncode == 1
    assert "cannot be locked" in second.stdout
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == KILLED
    locked = run(["snakemake", "--cores", "2", record(project)], project)
    assert locked.returncode == 1
    assert "--unlock" in locked.stdout
    snakemake(project, "--unlock")
    process, training = start_training(project)
    process.kill()
    process.wait()
    snakemake(project, "--unlock")
    training.resume()
    snakemake(project, record(project))
    assert outcome(project) == outcome(failed)
    assert json.loads((project / record(project)).read_text())["resumes"] >= 1


def test_interrupted_and_started_again(failed, project):
    """By `kill`, and by Ctrl-C in a terminal, which every process of the group receives, thrice."""
    for send, times in ((os.kill, 1), (os.killpg, 3)):
        process, training = start_training(project)
        send(process.pid, signal.SIGINT)
        said = read_to(STOPPING, process)
        wait_until(lambda training=training: is_sent(training, signal.SIGINT))
        for _ in range(times - 1):
            send(process.pid, signal.SIGINT)
            said += read_to(STOPPING_ALREADY.decode().strip(), process)
        training.resume()
        said += process.stdout.read()
        assert process.wait() != 0
        *_, paragraph, _ = said.strip().splitlines()  # Snakemake adds how long it took
        assert paragraph.startswith(
            "Stopped. 0 of 1 steps are done; 1 training ended early and saved "
        )
        assert "To continue, run the same command: snakemake --cores 2" in paragraph
        assert not re.search("Error|Traceback|Aborted", said), said
    snakemake(project, record(project))
    assert outcome(project) == outcome(failed)
    assert json.loads((project / record(project)).read_text())["resumes"] == 2


def test_interrupted_while_it_is_planned(project):
    """It says that nothing has begun, and leaves no lock behind."""
    let_hold(project, "awd/study/workflow_plan.py", "WorkflowPlan._run")
    hold(project)
    process = start(["snakemake", "--cores", "2", record(project)], project)
    assert wait_until_held(project, process).pid == process.pid
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate()
    assert process.returncode != 0
    assert said.endswith(NOTHING_DONE.decode())
    assert "Building DAG" in said
    assert "Traceback" not in said
    assert list(project.glob(".snakemake/locks/*")) == []


def test_a_clock_that_was_moved_back(failed, project):
    """A corpus of tomorrow is no reason to delete what was trained on it.

    Snakemake deletes an evaluation that is older than its training; when the dates are put right,
    it is done again, and nothing is trained.
    """
    tomorrow = time.time() + 86_400
    for path in project.glob("results/corpora/*/*.*"):
        os.utime(path, (tomorrow, tomorrow))
    snakemake(project, record(project))
    assert outcome(project) == outcome(failed)
    trainings = list(trained(project).glob("train.*"))
    for path in trainings:
        os.utime(path, (tomorrow, tomorrow))
    evaluation = record(project).replace("train.json", "train.stream.json")
    answer = run(["snakemake", "--cores", "2", evaluation], project)
    assert answer.returncode == 1
    assert "clock skew" in answer.stdout
    assert not (project / evaluation).exists()
    for path in trainings:
        os.utime(path)
    snakemake(project, evaluation)
    assert outcome(project) == outcome(failed)
    assert json.loads((project / record(project)).read_text())["resumes"] == 0
    splits = [json.loads((each / evaluation).read_text())["splits"] for each in (failed, project)]
    assert splits[0] == splits[1]


def test_a_text_edited_while_its_jobs_wait(tmp_path):
    """A job for the old text stops with one sentence; the command, run again, plans the new one."""
    project = make_project(tmp_path / "project", study=SUITE)
    texts = project / "texts"

    def record() -> Path:
        digits = corpora.fingerprint("mine", {"mine": str(texts)})[:8]
        return Path(f"results/corpora/mine-{digits}/corpus.json")

    old = record()
    with (texts / "test.txt").open("a") as file:
        file.write("w1 w4 w13\n" * 200)
    answer = run(["snakemake", "--cores", "1", str(old)], project)
    assert answer.returncode == 1
    assert "the text of corpus 'mine' changed since it was planned: run the comm" in answer.stdout
    assert not list((project / old).parent.glob("**/*.*"))
    snakemake(project, str(record()))
    assert json.loads((project / record()).read_text())["tokens"]["test"] == 60 * 10 + 200 * 4
