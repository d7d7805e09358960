"""Copies of the project with small studies of their own, and the programs run in them."""

import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import forked
import matplotlib
import psutil

import awd
from awd.study.config import CONFIG, load_config

ROOT = Path(awd.__file__).parents[1]


def copy_parts(folder: Path, *names: str) -> None:
    """Copy folders of this project, with the bytecode that Python has made of them so far."""
    # Another process may be writing bytecode now; what it has begun may be gone when it is copied.
    begun = shutil.ignore_patterns("*.pyc.*")
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=begun)


def make_project(folder: Path, **suites: str) -> Path:
    """What Snakemake needs of this project, the ``suites``, and a small corpus called mine."""
    copy_parts(folder, "awd", "workflow")
    for path in (folder / "workflow" / "suites").iterdir():
        path.unlink()
    for name, text in suites.items():
        (folder / f"workflow/suites/{name}.yaml").write_text(text, encoding="utf-8")
    write_texts(folder / "texts")
    changes = {"corpus_folders": {"mine": str(folder / "texts")}, "device": "cpu"}
    changes |= {"suites": list(suites), "base_seeds": 1}
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(json.dumps(load_config(CONFIG, changes)))
    return folder


HOLD = """

def _hold(function):
    import contextlib, os, pathlib, signal

    def held(*words):
        result = function(*words)
        for asked in pathlib.Path().glob("hold.*"):
            with contextlib.suppress(FileNotFoundError):  # another process has taken it
                asked.rename(f"held.{{os.getpid()}}")
                {function} = function
                os.kill(os.getpid(), signal.SIGSTOP)
                break
        return result

    return held


{function} = _hold({function})
"""


def let_hold(project: Path, module: str, function: str) -> None:
    """Let processes of ``project`` stand still after ``function`` of ``module``; see `hold`."""
    with (project / module).open("a", encoding="utf-8") as file:
        file.write(HOLD.format(function=function))


def hold(project: Path, number: int = 1) -> None:
    """Ask the next ``number`` processes that come to such a place to stand still there.

    A process does so once at most, until somebody continues it.
    """
    for path in project.glob("held.*"):
        path.unlink()
    for each in range(number):
        (project / f"hold.{each}").touch()


def held(project: Path) -> list[psutil.Process]:
    """The processes that stand still because of the last `hold`."""
    processes = []
    for path in project.glob("held.*"):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(path.suffix[1:]))
            if process.status() == psutil.STATUS_STOPPED:
                processes.append(process)
    return processes


def write_texts(folder: Path, train: int = 300, valid: int = 60, test: int = 60) -> Path:
    """Mostly predictable lines: each of 30 words has one usual successor, kept four times in five.

    ``train``, ``valid`` and ``test`` say how many lines of nine words.
    """
    folder.mkdir()
    chance = random.Random(1)
    for split, lines in {"train": train, "valid": valid, "test": test}.items():
        with (folder / f"{split}.txt").open("w") as file:
            for _ in range(lines):
                words = [chance.randrange(30)]
                while len(words) < 9:
                    words.append((words[-1] * 3 + 1 + (chance.random() < 0.2)) % 30)
                print(*(f"w{word}" for word in words), file=file)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """That of a program in ``folder``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    # To look at all fonts takes a while, and finds the same ones for each project.
    return {**os.environ, **own, "MPLCONFIGDIR": matplotlib.get_cachedir()}


def start(command: list, folder: Path, **options) -> subprocess.Popen:
    """A program of this environment in ``folder``; what it says is its stdout, errors included."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run(command: list, folder: Path) -> subprocess.CompletedProcess:
    """Such a program, to its end; forked, which is sooner."""
    program, *words = command
    return forked.run(program, words, folder, environment(folder), errors_apart=False)


def snakemake(folder: Path, *options: str) -> str:
    """What Snakemake says where it must succeed."""
    answer = run(["snakemake", "--cores", "2", *options], folder)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


def end_all(folder: Path) -> None:
    """Kill all processes that work in ``folder``: what a failed test has left."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.cwd() == str(folder):
                process.kill()
