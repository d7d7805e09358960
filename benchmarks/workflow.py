"""Measure everything around the training steps: plans, starts, reports, checkpoints, cache.

    python benchmarks/workflow.py results/corpora/ptb-0b84989b

Writes benchmarks/workflow.md. Times of commands are elapsed times of the whole process; the
other times are measured in this process. Each figure is the median of three.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from rich.progress import track
from speed import CONFIGURATIONS

from awd import corpora
from awd.corpora.batching import as_stream, chunks
from awd.evaluation.neural_cache import cache_losses
from awd.evaluation.perplexity import stream_losses
from awd.files import write_json
from awd.machine import devices
from awd.model.language_model import LanguageModel
from awd.runs.checkpoint import Checkpoint
from awd.study.spec import RunSpec
from awd.training.trainer import Trainer

HERE = Path(__file__).parent
ROOT = HERE.parent
TRAININGS = 8  # of merity2018, for each seed
RUNS = (100, 1_000, 10_000)
JOBS = (1, 2, 4, 8)
SECONDS = 20.0


def seconds(command: list[str], status: int = 0) -> float:
    """Return the elapsed time of a command that exits with ``status``, median of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        answer = subprocess.run(command, capture_output=True, cwd=ROOT)
        taken.append(time.perf_counter() - started)
        assert answer.returncode == status, answer.stderr
    return statistics.median(taken)


def planning() -> list[str]:
    """Time ``awd plan`` and ``snakemake -n`` for increasing numbers of runs."""
    lines = ["| runs | `awd plan`, s | `snakemake -n`, s |", "|--:|--:|--:|"]
    for runs in track(RUNS, "planning"):
        seeds = f"seeds={runs // TRAININGS}"
        plan = [sys.executable, "-m", "awd", "plan", "suites=merity2018", seeds]
        dry = ["snakemake", "-n", "-q", "--config", seeds, "suites=merity2018"]
        lines.append(f"| {runs:,} | {seconds(plan):.2f} | {seconds(dry):.2f} |")
    return lines


def starting() -> list[str]:
    """Time a job until it refuses its input: mostly the time to load torch."""
    options = ["--spec", "{}", "--checkpoint-minutes", "5"]
    job = [sys.executable, "-m", "awd", "train", "corpus", "run", *options]
    return ["| start of a job, s |", "|--:|", f"| {seconds(job, status=1):.2f} |"]


def report() -> list[str]:
    """Time ``awd report`` for 987 made-up records of 336 runs: two figures, tables, page."""
    sys.path.insert(0, str(ROOT / "tests"))
    import synthetic

    plan = synthetic.make_plan(seeds=range(1, 22))
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "paper/plans/merity2018.json", plan)
        synthetic.write_runs(plan, Path(folder) / "runs")
        count = sum(1 for _ in Path(folder).glob("runs/*/*.json"))
        command = [sys.executable, "-m", "awd", "report", "scale=paper", f"results={folder}"]
        tables = seconds([*command, "parts=records,tables"])
        return [
            "| records | `awd report`, s | its records and tables alone, s |",
            "|--:|--:|--:|",
            f"| {count:,} | {seconds(command):.2f} | {tables:.2f} |",
        ]


def saving(corpus) -> list[str]:
    """Measure a checkpoint's size and the time to save and load it."""
    lines = ["| model | checkpoint, MB | save, s | load, s | share of training at every 5 min |"]
    lines.append("|---|--:|--:|--:|--:|")
    for name in ("a", "c"):
        spec = RunSpec(corpus=corpus.name, **CONFIGURATIONS[name])
        trainer = Trainer(spec, corpus, "train", torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder), "run", "train")
            saves, loads = [], []
            for _ in range(3):
                started = time.perf_counter()
                checkpoint.save(trainer.state())
                saves.append(time.perf_counter() - started)
                started = time.perf_counter()
                checkpoint.load()
                loads.append(time.perf_counter() - started)
            size = checkpoint.path.stat().st_size / 1e6
        save = statistics.median(saves)
        load = statistics.median(loads)
        lines.append(f"| ({name}) | {size:.0f} | {save:.2f} | {load:.2f} | {save / 300:.2%} |")
    return lines


def sharing(folder: Path) -> list[str]:
    """Measure the throughput of several parallel one-thread trainings on all cores."""
    lines = [f"| trainings of (a) on {os.cpu_count()} cores | tokens/s in all | to one |"]
    lines.append("|--:|--:|--:|")
    alone = None
    for count in track(JOBS, "side by side"):
        command = [sys.executable, __file__, str(folder), "--train"]
        jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        speed = sum(float(job.communicate()[0]) for job in jobs)
        alone = alone or speed
        lines.append(f"| {count} | {speed:,.0f} | {speed / alone:.2f}× |")
    return lines


def train(corpus) -> float:
    """Measure tokens per second of this process for a fixed time in which others train."""
    spec = RunSpec(corpus=corpus.name, **CONFIGURATIONS["a"])
    trainer = Trainer(spec, corpus, "train", devices.prepare("cpu"))
    line = chunks(len(trainer.batches), spec.bptt, variable=False, seed=(1,))
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        trainer.step(line[steps])
        steps += 1
    return steps * spec.bptt * spec.batch_size / (time.perf_counter() - started)


def cache(corpus) -> list[str]:
    """Time the neural cache over the test text, with the windows of PTB and WikiText-2."""
    spec = RunSpec(corpus=corpus.name, **CONFIGURATIONS["a"])
    model = LanguageModel(spec, len(corpus.vocabulary)).eval()
    stream = as_stream(corpus.test)
    started = time.perf_counter()
    stream_losses(model, stream)
    plain = time.perf_counter() - started
    lines = [f"| window | cache over {len(stream):,} tokens, s | the model alone, s |"]
    lines.append("|--:|--:|--:|")
    for window in (500, 3785):
        started = time.perf_counter()
        cache_losses(model, stream, window=window, theta=1.0, weight=0.1)
        lines.append(f"| {window:,} | {time.perf_counter() - started:.1f} | {plain:.1f} |")
    return lines


def main() -> None:
    """Time everything, or with --train only train in this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="encoded Penn Treebank")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    corpus = corpora.load(arguments.corpus)
    if arguments.train:
        print(train(corpus))
        return
    device = devices.prepare("cpu")
    parts = [planning(), starting(), report(), saving(corpus), cache(corpus)]
    parts.append(sharing(arguments.corpus))
    head = f"# Around the training steps, {date.today()}"
    name = devices.describe(device)["name"]
    place = (
        f"{name}, one thread per training, {os.cpu_count()} cores. Made by `python {sys.argv[0]}`."
    )
    text = "\n\n".join([head, place, *("\n".join(part) for part in parts)]) + "\n"
    (HERE / "workflow.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
