"""The profiles, and the commands that go before Slurm's own, tried on make-believe ones."""

import os
import subprocess
from pathlib import Path

import forked
import pytest
from patience import PATIENCE

HOME = Path(__file__).parents[2]
COMMANDS = HOME / "workflow" / "profiles" / "slurm" / "bin"


@pytest.fixture
def call(tmp_path):
    """Call a command of the profile where Slurm's own are the given scripts."""

    def call(words: list[str], **scripts: str) -> subprocess.CompletedProcess:
        for name, script in {"sleep": "", **scripts}.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)
        path = os.pathsep.join([str(COMMANDS), str(COMMANDS), str(tmp_path), os.environ["PATH"]])
        return subprocess.run(
            words,
            cwd=tmp_path,
            env={"PATH": path},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return call


def test_a_preempted_job_counts_as_cancelled(call):
    """For the executor it would be one that goes on."""
    said = call(["squeue", "--name", "x"], squeue="echo '7|PREEMPTED'; echo '8|RUNNING'")
    assert (said.returncode, said.stdout) == (0, "7|CANCELLED\n8|RUNNING\n")


def test_a_question_that_failed_is_no_answer(call):
    """Else all jobs would look as if they were unknown."""
    said = call(["squeue"], squeue="echo '7|RUNNING'; echo away >&2; exit 3")
    assert (said.returncode, said.stdout, said.stderr) == (3, "", "away\n")


def test_states_are_asked_of_squeue_where_the_executor_turns_to_sacct(call):
    """In the executor's words, with the workflow's name last."""
    words = ["sacct", "-X", "--parsable2", "--clusters", "all", "--noheader"]
    words += ["--format=JobIdRaw,State", "--starttime", "2020-01-01T00:00", "--endtime", "now"]
    said = call([*words, "--name", "some run"], squeue='printf "<%s>" "$@"', sacct="exit 1")
    assert said.stdout == "<--format=%i|%T><--states=all><--noheader><--name><some run>\n"


def test_other_questions_go_to_sacct(call):
    said = call(["sacct", "-j", "7", "-o", "nodelist%-256"], sacct='printf "<%s>" "$@"')
    assert said.stdout == "<-j><7><-o><nodelist%-256>"


def test_a_job_is_sent_when_slurmctld_is_back(call, tmp_path):
    """The complaints of the first tries are no part of the answer."""
    script = """
    echo x >> tries
    if [ $(wc -l < tries) -lt 3 ]; then
        echo 'sbatch: error: Unable to contact slurm controller (connect failure)' >&2; exit 1
    fi
    echo warning >&2; echo "7;$2"
    """
    said = call(["sbatch", "--wrap", "two words"], sbatch=script)
    assert (said.returncode, said.stdout, said.stderr) == (0, "7;two words\n", "warning\n")
    assert (tmp_path / "tries").read_text().count("x") == 3


def test_a_job_that_slurm_refuses_is_not_sent_again(call):
    said = call(["sbatch"], sbatch="echo 'invalid partition specified: gpu' >&2; exit 4")
    assert (said.returncode, said.stderr) == (4, "invalid partition specified: gpu\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("slurm", "gpu=1, slurm_partition=gpu"),
        ("local-gpu", "gpu=1"),
    ],
)
def test_a_training_asks_for_what_the_profile_says(profile, said):
    """Snakemake reads it, and the project's default profile with it."""
    words = ["-n", "--forceall"]
    words += ["--profile", f"workflow/profiles/{profile}", "--config", "suites=kim2024"]
    answer = forked.run("snakemake", [*words, "device=cuda"])
    assert answer.returncode == 0, answer.stderr
    announced = answer.stdout + answer.stderr
    assert "and workflow specific profile workflow/profiles/default" in announced
    requests = [
        set(line.strip().removeprefix("resources: ").split(", "))
        for line in announced.splitlines()
        if "checkpoint_minutes=" in line
    ]
    assert requests
    assert all({"device=cuda", "gpu=1"} <= request for request in requests)
    assert any(set(said.split(", ")) <= request for request in requests)


@pytest.mark.slow
def test_without_a_gpu_a_training_asks_for_the_partition_without_gpus():
    words = ["-n", "--forceall"]
    words += ["--profile", "workflow/profiles/slurm", "--config", "suites=kim2024", "device=cpu"]
    answer = forked.run("snakemake", words)
    assert answer.returncode == 0, answer.stderr
    announced = answer.stdout + answer.stderr
    requests = [line for line in announced.splitlines() if "checkpoint_minutes=" in line]
    assert requests
    assert all("slurm_partition=cpu" in line for line in requests)
    assert not any("gpu=" in line for line in requests)
