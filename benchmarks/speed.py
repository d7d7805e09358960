"""Measure the speed of a training step against its alternatives.

    python benchmarks/speed.py results/corpora/ptb-0b84989b --wikitext results/corpora/wikitext-2-…

Every contestant trains the same configuration on the same text with one thread, in its own process.
Rounds are interleaved (A B C A B C ...), so that other load affects all contestants alike. Writes
benchmarks/speed.csv, one line per measurement, and benchmarks/speed.md, the medians.

fastai is included if the interpreter given with --fastai-python can import it.
"""

import argparse
import csv
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from rich.progress import track

from awd import corpora
from awd.corpora.batching import as_stream, batchify, chunks
from awd.machine import devices
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
CONTESTANTS = ("awd fp32", "awd bf16", "plain", "fastai")
SECONDS = 8.0
"""Shortest duration of a measurement in seconds; it has at least three steps."""


def takes_part(contestant: str, configuration: str) -> bool:
    """Return whether the contestant has all parts of the configuration's model."""
    spec = CONFIGURATIONS[configuration]
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
        from awd.training.trainer import Trainer

        device = devices.prepare("cpu")
        precision = contestant.removeprefix("awd ")
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
    lines = []
    jobs = [("gemm " + precision, "") for precision in ("fp32", "bf16")]
    jobs += [
        (contestant, configuration)
        for configuration in arguments.configurations
        for contestant in CONTESTANTS
        if takes_part(contestant, configuration)
        and (contestant != "fastai" or arguments.fastai_python)
        and (arguments.wikitext or not configuration.endswith("wikitext"))
    ]
    order = [(number, *job) for number in range(1, arguments.rounds + 1) for job in jobs]
    for number, contestant, configuration in track(order, "measuring"):
        folder = arguments.wikitext if configuration.endswith("wikitext") else arguments.corpus
        python = arguments.fastai_python if contestant == "fastai" else sys.executable
        command = [python, __file__, str(folder), "--measure", contestant, configuration]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        lines.append(
            {"round": number, "contestant": contestant, "configuration": configuration} | found
        )
    return lines


def write(lines: list[dict], path: Path) -> None:
    """Write speed.csv with every measurement."""
    columns = ["round", "contestant", "configuration", "tokens_per_cpu_second"]
    columns += ["tokens_per_second", "peak_memory_mb", "gflops"]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def summary(lines: list[dict]) -> str:
    """Return speed.md: medians, ratio to the best peer, share of the processor's peak."""
    import torch

    torch.set_num_threads(1)  # as each contestant has

    def median(contestant, configuration, figure):
        found = [
            line[figure]
            for line in lines
            if (line["contestant"], line["configuration"]) == (contestant, configuration)
        ]
        return statistics.median(found) if found else None

    peaks = {kind: median(f"gemm {kind}", "", "gflops") for kind in ("fp32", "bf16")}
    text = [
        f"# Training steps on one core, {date.today()}\n",
        f"{devices.describe(torch.device('cpu'))['name']}, one thread; "
        f"Python {platform.python_version()}, torch "
        f"{torch.__version__}; medians of {max(line['round'] for line in lines)} interleaved "
        f"rounds. Peak of a matrix product: {peaks['fp32']:.0f} GFLOP/s in fp32, "
        f"{peaks['bf16']:.0f} in bf16. Made by `python benchmarks/speed.py`.\n",
    ]
    for configuration in dict.fromkeys(line["configuration"] for line in lines):
        if not configuration:
            continue
        text.append(f"\n**({configuration})** {MEANINGS[configuration]}\n")
        text.append(
            "| contestant | tokens per CPU-second | tokens per second | to the best peer "
            "| of the peak | peak memory, MB |\n|---|--:|--:|--:|--:|--:|"
        )
        speeds = {
            name: median(name, configuration, "tokens_per_cpu_second") for name in CONTESTANTS
        }
        best = max((speeds[name] for name in ("plain", "fastai") if speeds[name]), default=None)
        spec = RunSpec(corpus="ptb", **CONFIGURATIONS[configuration])
        vocabulary = 33_278 if configuration.endswith("wikitext") else 10_000
        work = operations(spec, vocabulary) / 1e9
        for name, speed in speeds.items():
            if speed is None:
                continue
            peak = peaks["bf16" if name.endswith("bf16") else "fp32"]
            ratio = f"{speed / best:.2f}×" if best else "–"
            text.append(
                f"| {name} | {speed:,.0f} | {median(name, configuration, 'tokens_per_second'):,.0f}"
                f" | {ratio} | {work * speed / peak:.0%} "
                f"| {median(name, configuration, 'peak_memory_mb'):,.0f} |"
            )
    return "\n".join(text) + "\n"


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
    lines = rounds(arguments)
    write(lines, HERE / "speed.csv")
    (HERE / "speed.md").write_text(summary(lines), encoding="utf-8")
    print(summary(lines))


if __name__ == "__main__":
    main()
