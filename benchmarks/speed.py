"""Measure the speed of a training step against its alternatives.

    python benchmarks/speed.py results/corpora/ptb-0b84989b --wikitext results/corpora/wikitext-2-…

Every contestant trains the same configuration on the same text with one thread, in its own process.
Rounds are interleaved (A B C A B C ...), so that other load affects all contestants alike. Replaces
this CPU's lines of benchmarks/speed.csv, one line per measurement, and never those of another CPU;
benchmarks/speed.md has the medians.

"awd by torch" is awd without its compiled kernels. bf16 takes part where the CPU has it. fastai is
included if the interpreter given with --fastai-python can import it.
"""

import argparse
import csv
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from rich.progress import track

from awd import __version__, corpora
from awd.corpora.batching import as_stream, batchify, chunks
from awd.machine import cpu, devices
from awd.study.cost import operations
from awd.study.spec import RunSpec

HERE = Path(__file__).parent
AWD = {
    "layers": 3,
    "hidden_size": 1150,
    "embedding_size": 400,
    "tied": True,
    "weight_drop": 0.5,
    "dropout_embedding": 0.1,
    "dropout_input": 0.4,
    "dropout_hidden": 0.25,
    "dropout_output": 0.4,
    "activation_regularization": 2,
    "temporal_activation_regularization": 1,
    "weight_decay": 1.2e-6,
    "batch_size": 20,
    "bptt": 70,
}
SMALL = {"layers": 2, "hidden_size": 200, "embedding_size": 200, "batch_size": 20, "bptt": 20}
CONFIGURATIONS = {
    "a": SMALL,
    "a-gru": {**SMALL, "cell": "gru"},
    "b": {
        "layers": 1,
        "hidden_size": 300,
        "embedding_size": 300,
        "tied": True,
        "dropout_input": 0.4,
        "dropout_output": 0.4,
        "batch_size": 64,
        "bptt": 35,
    },
    "c": AWD,
    "a-wikitext": SMALL,
    "c-wikitext": AWD,
}
MEANINGS = {
    "a": "2x200 LSTM, untied, batch 20, bptt 20 (Kim and Choi; Zaremba's small)",
    "a-gru": "the same with a GRU",
    "b": "1x300 LSTM, tied, dropout, batch 64, bptt 35 (Bonetto)",
    "c": "AWD-LSTM 3x1150 with all its regularisers, batch 20, bptt 70 (Merity et al.)",
    "a-wikitext": "(a) over WikiText-2's 33,278 word types",
    "c-wikitext": "(c) over WikiText-2's 33,278 word types",
}
PEERS = ("plain", "fastai")
CONTESTANTS = ("awd fp32", "awd bf16", "awd by torch", *PEERS)
SECONDS = 8.0
"""Shortest duration of a measurement in seconds; it has at least three steps."""
MACHINE = ("cpu", "awd", "python", "torch", "date")
"""Columns that are the same in all lines of one run of this program."""
FIGURES = ("tokens_per_cpu_second", "tokens_per_second", "peak_memory_mb", "gflops")
TABLE = HERE / "speed.csv"


def takes_part(contestant: str, configuration: str) -> bool:
    """Return whether the contestant has all parts of the configuration's model."""
    spec = CONFIGURATIONS[configuration]
    if contestant.endswith("bf16") and "avx512_bf16" not in cpu.flags():
        return False
    if contestant == "plain":
        return "weight_drop" not in spec
    return contestant != "fastai" or spec.get("cell") != "gru"


def measure(contestant: str, configuration: str, folder: Path) -> dict:
    """Measure tokens per CPU-second and per second, and peak memory of this process in MB."""
    import torch

    torch.set_num_threads(1)
    corpus = corpora.load(folder)
    spec = CONFIGURATIONS[configuration]
    if contestant.startswith("awd"):
        from awd.model import kernels
        from awd.training.trainer import Trainer

        device = devices.prepare("cpu")
        precision = "bf16" if contestant.endswith("bf16") else "fp32"
        if contestant.endswith("by torch"):
            kernels.operators = None
        trainer = Trainer(
            RunSpec(corpus=corpus.name, precision=precision, **spec), corpus, "train", device
        )
        one = trainer.step
    else:
        import peers

        batches = batchify(as_stream(corpus.train, torch.device("cpu")), spec["batch_size"])
        step = getattr(peers, contestant)(spec, len(corpus.vocabulary))

        def one(chunk):
            end = chunk.start + chunk.length
            step(batches[chunk.start : end], batches[chunk.start + 1 : end + 1])

    length = len(corpus.train) // spec["batch_size"]
    line = iter(chunks(length, spec["bptt"], variable=False, seed=(1,)))
    for _ in range(3):
        one(next(line))
    steps, cpu, wall = 0, time.process_time(), time.perf_counter()
    while steps < 3 or time.process_time() - cpu < SECONDS:
        one(next(line))
        steps += 1
    tokens = steps * spec["batch_size"] * spec["bptt"]
    return {
        "tokens_per_cpu_second": round(tokens / (time.process_time() - cpu), 1),
        "tokens_per_second": round(tokens / (time.perf_counter() - wall), 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def matrix_peak(precision: str) -> dict:
    """Measure FLOP per CPU-second of a large oneDNN product, the limit of every contestant."""
    import torch

    torch.set_num_threads(1)
    devices.prepare("cpu")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(1024, 1024).to(kind), torch.randn(1024, 1024).to(kind)
    best = float("inf")
    for _ in range(40):
        started = time.process_time()
        torch.mm(left, right)
        best = min(best, time.process_time() - started)
    return {"gflops": round(2 * 1024**3 / best / 1e9, 1)}


def rounds(arguments) -> list[dict]:
    """Return every measurement, in interleaved rounds, each from its own process."""
    import torch

    machine = (cpu.name(), __version__, platform.python_version(), torch.__version__, date.today())
    jobs = [("gemm fp32", "")]
    jobs += [("gemm bf16", "")] if takes_part("awd bf16", "a") else []
    jobs += [
        (contestant, configuration)
        for configuration in arguments.configurations
        for contestant in CONTESTANTS
        if takes_part(contestant, configuration)
        and (contestant != "fastai" or arguments.fastai_python)
        and (arguments.wikitext or not configuration.endswith("wikitext"))
    ]
    order = [(number, *job) for number in range(1, arguments.rounds + 1) for job in jobs]
    lines = []
    for number, contestant, configuration in track(order, "measuring"):
        folder = arguments.wikitext if configuration.endswith("wikitext") else arguments.corpus
        python = arguments.fastai_python if contestant == "fastai" else sys.executable
        command = [python, __file__, str(folder), "--measure", contestant, configuration]
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            # fastai's interpreter need not have awd installed.
            env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        )
        found = json.loads(done.stdout.splitlines()[-1])
        job = {"round": number, "contestant": contestant, "configuration": configuration}
        lines.append(dict(zip(MACHINE, machine, strict=True)) | job | found)
    return lines


def read(path: Path) -> list[dict]:
    """Read measurements; figures are numbers, or missing."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {
                key: float(value) if key in FIGURES else value
                for key, value in line.items()
                if value or key == "configuration"
            }
            for line in csv.DictReader(file)
        ]


def write(lines: list[dict], path: Path) -> None:
    """Write every measurement."""
    columns = [*MACHINE, "round", "contestant", "configuration", *FIGURES]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def median(lines: list[dict], contestant: str, configuration: str, figure: str) -> float | None:
    """Return the median of a figure over rounds, None if it was not measured."""
    wanted = {"contestant": contestant, "configuration": configuration}
    found = [line[figure] for line in lines if wanted.items() <= line.items() and figure in line]
    return statistics.median(found) if found else None


def summary(lines: list[dict]) -> str:
    """Return speed.md: a section for each CPU."""
    machines = dict.fromkeys(line["cpu"] for line in lines)
    sections = [section([line for line in lines if line["cpu"] == name]) for name in machines]
    start = "# Training steps on one core\n\nMade by `python benchmarks/speed.py`, for each CPU.\n"
    return "\n".join([start, *sections])


def section(lines: list[dict]) -> str:
    """Return the medians of one CPU, with ratios to the best peer and to the CPU's peak."""
    machine = lines[0]
    peaks = {kind: median(lines, f"gemm {kind}", "", "gflops") for kind in ("fp32", "bf16")}
    rates = [f"{peak:.0f} GFLOP/s in {kind}" for kind, peak in peaks.items() if peak]
    count = len({line["round"] for line in lines})
    text = [
        f"## {machine['cpu']}\n\nawd {machine['awd']}, one thread; Python {machine['python']}, "
        f"torch {machine['torch']}; {machine['date']}; medians of {count} interleaved rounds. "
        f"Peak of a matrix product: {', '.join(rates)}.\n"
    ]
    for configuration in dict.fromkeys(line["configuration"] for line in lines):
        if configuration:
            text += table_of(lines, configuration, peaks)
    return "\n".join(text)


def table_of(lines: list[dict], configuration: str, peaks: dict) -> list[str]:
    """Return a configuration's table in Markdown, by lines."""
    text = [
        f"**({configuration})** {MEANINGS[configuration]}\n",
        "| contestant | tokens per CPU-second | tokens per second | to the best peer "
        "| of the peak | peak memory, MB |\n|---|--:|--:|--:|--:|--:|",
    ]
    found = {
        name: [median(lines, name, configuration, figure) for figure in FIGURES[:3]]
        for name in CONTESTANTS
    }
    best = max((found[peer][0] for peer in PEERS if found[peer][0]), default=None)
    spec = RunSpec(corpus="ptb", **CONFIGURATIONS[configuration])
    vocabulary = 33_278 if configuration.endswith("wikitext") else 10_000
    work = operations(spec, vocabulary) / 1e9
    for name, (speed, wall, memory) in found.items():
        if speed:
            peak = peaks["bf16" if name.endswith("bf16") else "fp32"]
            ratio = f"{speed / best:.2f}×" if best else "–"
            text.append(
                f"| {name} | {speed:,.0f} | {wall:,.0f} | {ratio} | {work * speed / peak:.0%} "
                f"| {memory:,.0f} |"
            )
    return [*text, ""]


def main() -> None:
    """Measure the contestant given with --measure, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="encoded Penn Treebank")
    parser.add_argument("--wikitext", type=Path, help="encoded WikiText-2")
    parser.add_argument("--configurations", nargs="*", default=list(CONFIGURATIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fastai-python", help="an interpreter that can import fastai")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        contestant, configuration = arguments.measure
        if contestant.startswith("gemm"):
            print(json.dumps(matrix_peak(contestant.removeprefix("gemm "))))
        else:
            print(json.dumps(measure(contestant, configuration, arguments.corpus)))
        return
    new = rounds(arguments)
    lines = [line for line in read(TABLE) if line["cpu"] != cpu.name()] + new
    write(lines, TABLE)
    lines = read(TABLE)
    TABLE.with_suffix(".md").write_text(summary(lines), encoding="utf-8")
    print(section([line for line in lines if line["cpu"] == cpu.name()]))


if __name__ == "__main__":
    main()
