"""Bad days on a real Slurm: whatever happens to the jobs, the records are those of a good day.

All tests share one Slurm, hence one file: files are what pytest spreads over processes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import slurm
from patience import PATIENCE
from projects import copy_parts, end_all, held, hold, let_hold, write_texts

from awd.machine import gpu_lease
from awd.study.config import CONFIG, load_config

pytestmark = pytest.mark.slow

PROFILE = "workflow/profiles/slurm"
SUITE = """
title: Bad days
base_row: full
base:
  hidden_size: 16
  embedding_size: 16
  layers: 2
  dropout_hidden: 0.2
  dropout_output: 0.2
  weight_drop: 0.2
  activation_regularization: 1
  temporal_activation_regularization: 1
  batch_size: 4
  bptt: 10
  variable_bptt: true
  optimizer: nt-asgd
  non_monotone_interval: 1
  learning_rate: 10
  epochs: 4
rows:
{rows}
figures: [curves]
scales:
  demo: {corpora: [mine]}
  small: {corpora: [mine]}
  paper: {corpora: [mine]}
"""
ROWS = """
  full: {label: full, stage: train}
  minus-weight-drop: {label: − weight drop, stage: train, set: {weight_drop: 0}}
  minus-dropout: {label: − dropout, stage: train, set: {dropout_hidden: 0}}
"""
TIMES = {"started", "ended", "seconds", "seconds_per_epoch", "tokens_per_second"}
MEANT_TO_DIFFER = TIMES | {"peak_memory_mb", "energy_joules", "resumes"}

obstacle = slurm.obstacle() or (gpu_lease.visible() and "this machine has GPUs of its own")
if obstacle:
    pytestmark = [pytestmark, pytest.mark.skip(reason=obstacle)]


@pytest.fixture(scope="module")
def cluster():
    with slurm.alone():
        slurm.start()
        yield slurm
        slurm.stop()


@pytest.fixture
def all_faults(request):
    if not request.config.getoption("--all-faults", default=False):
        pytest.skip("takes minutes: pytest -n 0 tests/cluster --all-faults")


def make_project(folder: Path) -> Path:
    """A copy of the project with one suite, and the shipped profile for the test's Slurm."""
    folder.mkdir()
    copy_parts(folder, "awd", "workflow")
    let_hold(folder, "awd/runs/checkpoint.py", "Checkpoint.save")
    suites = folder / "workflow" / "suites"
    for path in suites.iterdir():
        path.unlink()
    write_suite(folder, 3)
    write_texts(folder / "texts")
    changes = {"checkpoint_minutes": 0.005, "corpus_folders": {"mine": "texts"}}
    changes |= {"suites": "faults", "base_seeds": 1}
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(json.dumps(load_config(CONFIG, changes)))
    change_profile(folder, 'GPU, CPU = "gpu", "cpu"', 'GPU, CPU = "work", "work"')
    pause = "slurm-init-seconds-before-status-checks: "
    change_profile(folder, f"{pause}10", f"{pause}1")  # most of a test would be this pause
    return folder


def write_suite(project: Path, rows: int) -> None:
    """The first ``rows`` of the rows, a training each."""
    text = SUITE.replace("{rows}", "\n".join(ROWS.strip("\n").splitlines()[:rows]))
    (project / "workflow/suites/faults.yaml").write_text(text, encoding="utf-8")


def change_profile(project: Path, old: str, new: str) -> None:
    path = project / PROFILE / "profile.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def start(project: Path, *options: str) -> subprocess.Popen:
    """Start Snakemake in ``project``; what it says is added to the file said."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *options, "results/demo/records.csv"],
        cwd=project,
        env={**os.environ, "PATH": path, "XDG_CACHE_HOME": str(project / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=(project / "said").open("a"),
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen, project: Path) -> str:
    """Wait for Snakemake's success; returns what it said."""
    code = process.wait()
    said = (project / "said").read_text(encoding="utf-8")
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The project, run to its end on this machine alone."""
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    finish(start(project, "--cores", "2"), project)
    return project


@pytest.fixture
def project(undisturbed, tmp_path, cluster) -> Path:
    """The project with two rows before any training, with its corpus; all nodes are up."""
    for node, state in cluster.states().items():
        if state != "idle":
            cluster.start_node(node)
    cluster.wait_for(lambda: set(cluster.states().values()) == {"idle"}, "all nodes are idle")
    folder = make_project(tmp_path / "project")
    write_suite(folder, 2)
    shutil.copytree(undisturbed / "results/corpora", folder / "results/corpora")
    yield folder
    end_all(folder)


@dataclass(frozen=True)
class Training:
    """A training that runs on the cluster: its Slurm job, node, GPU there, and process."""

    run: str
    job: str
    node: str
    gpu: str
    process: psutil.Process


def freeze(project: Path, number: int) -> dict[str, Training]:
    """Wait until so many more trainings have a checkpoint, and stand still; return them by run.

    A frozen training does not finish before its fault strikes, on however slow a machine.
    """
    hold(project, number)
    slurm.wait_for(lambda: len(held(project)) == number, f"{number} trainings have checkpoints")
    frozen = {}
    for process in held(project):
        given, run = process.environ(), Path(process.cmdline()[5]).name
        names = ("SLURM_JOB_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
        frozen[run] = Training(run, *(given[name] for name in names), process)
    assert len(frozen) == number
    return frozen


def slurm_command(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def thaw(runs: dict[str, Training]) -> None:
    """Let frozen trainings go on, those that still are."""
    for training in runs.values():
        with suppress(psutil.NoSuchProcess):
            training.process.resume()


def asked(process: subprocess.Popen, program: str, seen: set[int]) -> int:
    """How many calls of a Slurm command below ``process`` were ``seen``, this look included."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == program:
                seen.add(child.pid)
    return len(seen)


def outcome(project: Path) -> dict:
    """All that a workflow leaves behind, without times."""
    result = {}
    for path in sorted((project / "results/runs").glob("*/*")):
        name = str(path.relative_to(project))
        if path.suffix == ".json":
            record = json.loads(path.read_text(encoding="utf-8"))
            result[name] = {key: record[key] for key in record.keys() - MEANT_TO_DIFFER}
        elif path.suffix == ".csv":
            lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
            assert lines[0][-2:] == ["seconds", "tokens_per_second"]
            result[name] = [line[:-2] for line in lines]
        else:
            result[name] = path.read_bytes()
    return result


def same(project: Path, undisturbed: Path, rows: int = 2) -> None:
    """Weights, curves, records and losses of each token are those of the undisturbed project."""
    expected, found = outcome(undisturbed), outcome(project)
    assert len(found) == len(expected) * rows // 3
    assert [name for name in found if found[name] != expected[name]] == []
    assert list((project / "results/checkpoints").glob("*/[!.]*")) == []


def resumes(project: Path) -> dict[str, int]:
    """How often each run was resumed."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["resumes"]
        for path in (project / "results/runs").glob("*/train.json")
    }


def ends(project: Path) -> Counter:
    """How the project's jobs ended."""
    return Counter(job["JobState"] for job in slurm.ended() if job["WorkDir"] == str(project))


def scancel(job: str) -> None:
    subprocess.run(["scancel", job], check=True)


def test_a_bad_day(project, undisturbed, cluster):
    """Time limit, scancel, a node that crashes, slurmctld restarted: each training resumes."""
    write_suite(project, 3)
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 3)
    assert len({(training.node, training.gpu) for training in runs.values()}) == 3
    nodes = Counter(training.node for training in runs.values())
    doomed = min(nodes, key=nodes.get)  # has one of them: each has two GPUs
    late, cancelled = (training for training in runs.values() if training.node != doomed)
    slurm_command("scontrol", "update", f"JobId={late.job}", "EndTime=now+1")
    slurm_command("scancel", cancelled.job)
    cluster.kill_node(doomed)
    cluster.report_down(doomed)
    cluster.stop_controller()
    cluster.start_controller()
    finish(process, project)

    same(project, undisturbed, rows=3)
    assert set(resumes(project).values()) == {1}
    assert ends(project) == {"TIMEOUT": 1, "CANCELLED": 1, "NODE_FAIL": 1, "COMPLETED": 6}


@pytest.mark.usefixtures("all_faults")
def test_the_time_limit_is_shorter_than_the_training(project, undisturbed):
    """Each time it is asked to stop, saves, and goes on in the next job."""
    partition = 'train: {slurm_partition: "?partition"'
    # With each retry a job asks for more memory, and a node has too little for the third.
    change_profile(project, partition, f"{partition}, runtime: 1, mem_mb: 6000")
    change_profile(project, "retries: 5", "retries: 20")
    process = start(project, "--profile", PROFILE)
    for _ in range(3):
        freeze(project, 2)
    said = finish(process, project)

    same(project, undisturbed)
    # On a busy machine a job can run out of time once more, by itself.
    assert min(resumes(project).values()) >= 3
    assert ends(project)["COMPLETED"] == 4
    assert "stopped by SIGTERM in epoch" in said


@pytest.mark.usefixtures("all_faults")
def test_a_job_ends_between_its_training_and_its_success(project, undisturbed, cluster):
    """Snakemake deletes what it wrote; the checkpoint writes it again, untrained."""
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 2)
    waiting = [training.process.parent() for training in runs.values()]
    for snakemake in waiting:
        snakemake.suspend()
    thaw(runs)
    cluster.wait_for(lambda: len(resumes(project)) == 2, "both trainings are done")
    slurm_command("scancel", *(training.job for training in runs.values()))
    finish(process, project)

    assert set(resumes(project).values()) == {1}
    assert ends(project) == {"CANCELLED": 2, "COMPLETED": 4}
    for log in (project / "results/logs").glob("train-*.log"):
        _, said = log.read_text(encoding="utf-8").split("resumes in epoch")
        assert "epoch" not in said
    same(project, undisturbed)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)
def test_snakemake_is_stopped(project, undisturbed, request, number):
    """Started again it goes on; killed hard it leaves a lock, and jobs that go on without it."""
    if number != signal.SIGKILL:
        request.getfixturevalue("all_faults")
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 2)
    process.send_signal(number)
    if number == signal.SIGTERM:
        thaw(runs)
    code = process.wait(PATIENCE)
    if number == signal.SIGKILL:
        locked = start(project, "--profile", PROFILE)
        assert locked.wait(PATIENCE) == 1
        assert "--unlock" in (project / "said").read_text(encoding="utf-8")
        slurm_command("scancel", *(training.job for training in runs.values()))
        assert start(project, "--cores", "1", "--unlock").wait(PATIENCE) == 0
    else:
        assert code == 1
    finish(start(project, "--profile", PROFILE), project)

    same(project, undisturbed)
    # A Snakemake that is terminated waits for its jobs; otherwise they are cancelled.
    assert set(resumes(project).values()) == {0 if number == signal.SIGTERM else 1}


@pytest.mark.usefixtures("all_faults")
def test_jobs_outlive_snakemake(project, undisturbed, cluster):
    """What they finished without it is not done again."""
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 2)
    process.kill()
    thaw(runs)
    cluster.wait_for(lambda: ends(project) == {"COMPLETED": 2}, "both jobs have ended")
    assert start(project, "--cores", "1", "--unlock").wait(PATIENCE) == 0
    finish(start(project, "--profile", PROFILE), project)

    same(project, undisturbed)
    assert set(resumes(project).values()) == {0}
    assert ends(project) == {"COMPLETED": 4}


@pytest.mark.usefixtures("all_faults")
def test_slurmctld_is_away(project, undisturbed, cluster):
    """While jobs are sent and while they run: everybody waits, and no job is sent twice."""
    tried, polled = set(), set()
    cluster.stop_controller()
    process = start(project, "--profile", PROFILE)
    cluster.wait_for(lambda: asked(process, "sbatch", tried) > 4, "sbatch was tried again")
    cluster.start_controller()
    runs = freeze(project, 2)
    cluster.stop_controller()
    cluster.wait_for(lambda: asked(process, "squeue", polled) > 4, "squeue was tried again")
    cluster.start_controller()
    thaw(runs)
    finish(process, project)

    same(project, undisturbed)
    assert ends(project) == {"COMPLETED": 4}


@pytest.mark.usefixtures("all_faults")
def test_a_node_crashes_with_requeue(project, undisturbed, cluster):
    """Slurm itself starts its jobs again, under their old numbers."""
    change_profile(project, "slurm-no-requeue", "slurm-requeue")
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 2)
    doomed = next(iter(runs.values())).node
    lost = {training.run for training in runs.values() if training.node == doomed}
    cluster.kill_node(doomed)
    thaw(runs)
    finish(process, project)

    same(project, undisturbed)
    assert {run for run, number in resumes(project).items() if number} == lost
    jobs = [job["JobId"] for job in cluster.ended() if job["WorkDir"] == str(project)]
    assert len(set(jobs)) == 4


@pytest.mark.usefixtures("all_faults")
@pytest.mark.parametrize("requeue", ["slurm-no-requeue", "slurm-requeue"])
def test_more_urgent_work_takes_the_node(project, undisturbed, requeue):
    """Preempted jobs are sent again, by Snakemake or by Slurm."""
    change_profile(project, '= "work", "work"', '= "preemptible", "preemptible"')
    change_profile(project, "slurm-no-requeue", requeue)
    process = start(project, "--profile", PROFILE)
    runs = freeze(project, 2)
    options = ["--partition=urgent", "--mem=16000", "--output=/dev/null", "--chdir=/"]
    slurm_command("sbatch", *options, "--wrap=sleep 5")
    finish(process, project)

    same(project, undisturbed)
    assert {run for run, number in resumes(project).items() if number} == runs.keys()
