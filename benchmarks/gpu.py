"""Measure a GPU in one visit: what is right, how fast it is, and a training at full scale.

    python benchmarks/gpu.py results/corpora/ptb-0b84989b check speed together train

Each part takes at most --minutes (9) and writes its lines into benchmarks/gpu-MODEL.csv and
benchmarks/gpu-MODEL.md, of which the other parts stay as they are. `train` continues where its last
call stopped. To try all of it without a GPU:

    python benchmarks/gpu.py CORPUS --device cpu --tiny --out /tmp/gpu
"""

import argparse
import csv
import itertools
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from peers import plain
from speed import AWD, CONFIGURATIONS, MEANINGS
from torch.nn import functional

from awd import corpora
from awd.corpora.batching import as_stream, batchify, chunks
from awd.files import atomic, write_text
from awd.machine import devices
from awd.model.arithmetic import linear
from awd.model.language_model import LanguageModel
from awd.model.recurrent_layer import RecurrentLayer
from awd.runs.checkpoint import Checkpoint
from awd.runs.progress import Progress
from awd.study.config import load_config
from awd.study.plan import Plan
from awd.study.spec import RunSpec
from awd.training.probes import observe
from awd.training.trainer import Interrupted, Trainer

COLUMNS = ("part", "configuration", "contestant", "figure", "round", "value")
TINY = {"layers": 2, "hidden_size": 16, "embedding_size": 16, "batch_size": 4, "bptt": 10}
TOGETHER = (1, 2, 4, 8)
"""Trainings at once on the one device."""
ERROR = "ended by an error"
IEEE = 1e-5
"""Largest error of products in fp32 relative to double; TF32 has about 3e-4."""


class Visit:
    """What all parts share: the device, the text, and how long a part may take."""

    def __init__(self, arguments: argparse.Namespace):
        self.tiny = arguments.tiny
        self.device = devices.prepare(arguments.device)
        self.corpus = corpora.load(arguments.corpus)
        self.folder, self.given = arguments.corpus, arguments
        self.seconds = 0.2 if self.tiny else 10.0  # of a measurement
        self.name = devices.describe(self.device)["name"]
        self.ends = time.monotonic() + 60 * arguments.minutes

    def spec(self, configuration: dict, **settings) -> RunSpec:
        """The spec of a configuration of speed.py on this corpus, or a tiny one like it."""
        made = {**configuration, **(TINY if self.tiny else {}), **settings}
        return RunSpec(corpus=self.corpus.name, **made)

    def wait(self) -> None:
        """Wait until the device has done its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def rate(self, spec: RunSpec, step: Callable, warm: int = 5) -> float:
        """Tokens per second of ``step``, called with chunks of the text."""
        steps = len(self.corpus.train) // spec.batch_size
        line = itertools.cycle(chunks(steps, spec.bptt)[:-1])
        for _ in range(warm):  # a graph is recorded and compared in the first three
            step(next(line))
        self.wait()
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < self.seconds:
            for _ in range(5):
                chunk = next(line)
                step(chunk)
                count += chunk.length
            self.wait()
        return count * spec.batch_size / (time.perf_counter() - started)


# check --------------------------------------------------------------------------------------


def check(visit: Visit) -> Iterator[dict]:
    """Products in fp32, weight drop, graphs, repeatability, and errors of a gradient."""
    device, spec = visit.device, visit.spec(AWD)
    torch.manual_seed(0)
    left, right = torch.randn(2, 512, 512, device=device)
    error = _error(left @ right, left.double() @ right.double())
    yield _checked("error of a matrix product", f"{error:.2e}", error < IEEE)
    layer = RecurrentLayer("lstm", 200, 200, bidirectional=False, p=0.0).to(device).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.1, 0.1)
        inputs = torch.randn(20, 8, 200, device=device)
        found, _ = layer(inputs, layer.initial_state(8))
        exact, _ = layer.double()(inputs.double(), layer.initial_state(8))
    error = _error(found, exact)
    yield _checked("error of an LSTM", f"{error:.2e}", error < IEEE)
    seen = observe(_trainer(visit, spec))
    yield _checked("weight drop", seen["weight_drop"], seen["weight_drop"] > 0.4, "c")
    yield _checked("precision", seen["precision"], seen["precision"] == "fp32", "c")
    ends = []
    for _ in range(2):
        trainer = _trainer(visit, spec)
        for chunk in chunks(len(trainer.batches), spec.bptt)[:12]:
            trainer.step(chunk)
        ends.append([parameter.detach().clone() for parameter in trainer.parameters])
    same = all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    yield _checked("the same bits twice", same, same, "c")
    if device.type == "cuda":
        graphs = trainer.graphs or {}
        for name, value in graphs.items():
            yield _checked(f"graphs: {name}", value, bool(graphs["used"]), "c")
    for precision, most in (("fp32", 1e-4), ("bf16", 0.05)):
        error = _gradient_error(visit, precision)
        yield _checked(f"error of a gradient, {precision}", f"{error:.2e}", error < most, "a")


def _checked(name: str, value: object, passed: bool, configuration: str = "") -> dict:
    return _line("check", configuration, "awd", name, value, passed=passed)


def _error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return ((found.double() - exact).norm() / exact.norm()).item()


def _trainer(visit: Visit, spec: RunSpec) -> Trainer:
    return Trainer(spec, visit.corpus, "train", visit.device)


def _gradient_error(visit: Visit, precision: str) -> float:
    """Of all gradients together, relative to those in double on the CPU."""
    spec = visit.spec(CONFIGURATIONS["a"], precision=precision)
    torch.manual_seed(1)
    model = LanguageModel(spec, len(visit.corpus.vocabulary)).train()
    streams = batchify(as_stream(visit.corpus.train), spec.batch_size)[: spec.bptt + 1]
    found = []
    for device, kind in ((visit.device, torch.float32), (torch.device("cpu"), torch.float64)):
        exact = LanguageModel(spec.changed(precision="fp32"), len(visit.corpus.vocabulary)).train()
        one = (model if kind == torch.float32 else exact).to(device, kind)
        if kind == torch.float64:
            one.load_state_dict(model.state_dict())
        text = streams.to(device)
        output = one(text[:-1], one.initial_state(spec.batch_size))
        if kind == torch.float64:
            scores = linear(output.dropped.flatten(0, 1), one.decoder_weight) + one.bias
            loss = functional.cross_entropy(scores, text[1:].flatten())
        else:
            loss = one.loss(output.dropped, text[1:])
        loss.backward()
        found.append(torch.cat([each.grad.double().cpu().flatten() for each in one.parameters()]))
    return _error(*found)


# speed --------------------------------------------------------------------------------------


def speed(visit: Visit) -> Iterator[dict]:
    """Tokens per second of training steps, in interleaved rounds until the time is up."""
    names = ("a", "b", "c")
    contestants = {name: dict(_contestants(visit, CONFIGURATIONS[name])) for name in names}
    for number in itertools.count(1):
        for name, steps in contestants.items():
            spec = visit.spec(CONFIGURATIONS[name])
            for contestant, step in steps.items():
                rate = visit.rate(spec, step)
                yield _line("speed", name, contestant, "tokens/s", round(rate, 1), number)
        if number == (2 if visit.tiny else 5) or time.monotonic() > visit.ends:
            return


def _contestants(visit: Visit, configuration: dict) -> Iterator[tuple[str, Callable]]:
    trainer = _trainer(visit, visit.spec(configuration))
    yield "awd", trainer.step
    eager = _trainer(visit, visit.spec(configuration))
    eager.update = eager._update
    yield "awd, kernel by kernel", eager.step
    if "weight_drop" in configuration:
        return
    made = {**configuration, **(TINY if visit.tiny else {})}
    step = plain(made, len(visit.corpus.vocabulary), visit.device)
    batches = trainer.batches

    def peer(chunk, precision):
        torch.backends.cudnn.rnn.fp32_precision = precision
        end = chunk.start + chunk.length
        step(batches[chunk.start : end], batches[chunk.start + 1 : end + 1])
        torch.backends.cudnn.rnn.fp32_precision = "ieee"

    yield "plain, TF32 as by default", lambda chunk: peer(chunk, "tf32")
    yield "plain, fp32", lambda chunk: peer(chunk, "ieee")


# together -----------------------------------------------------------------------------------


def together(visit: Visit) -> Iterator[dict]:
    """Tokens per second of several trainings at once, each in its own process."""
    for count in TOGETHER[: 2 if visit.tiny else None]:
        if time.monotonic() > visit.ends:
            return
        command = [sys.executable, __file__, str(visit.folder), "one", "--device"]
        command += [visit.device.type, *(["--tiny"] if visit.tiny else [])]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        jobs = [subprocess.Popen(command, **pipes) for _ in range(count)]
        for job in jobs:
            assert job.stdout.readline().strip() == "ready"
        for job in jobs:
            job.stdin.write("go\n")
            job.stdin.flush()
        rates = [float(job.communicate()[0]) for job in jobs]
        for number, rate in enumerate(rates, 1):
            yield _line("together", "a", f"{count} at once", "tokens/s", round(rate, 1), number)


def one(visit: Visit) -> None:
    """Measure one of several trainings: be ready, wait for the word, print the speed."""
    spec = visit.spec(CONFIGURATIONS["a"])
    trainer = _trainer(visit, spec)
    for chunk in chunks(len(trainer.batches), spec.bptt)[:5]:
        trainer.step(chunk)
    visit.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    print(visit.rate(spec, trainer.step, warm=0))


# train --------------------------------------------------------------------------------------


def train(visit: Visit) -> Iterator[dict]:
    """AWD-LSTM of merity2018 at full scale for the time that there is; the next call goes on."""
    plan = Plan(load_config(overrides={"suites": "merity2018", "scale": "paper"}), "config.yaml")
    rows = plan.suites["merity2018"]["rows"]
    base = next(row for row in rows if row["row"] == plan.suites["merity2018"]["base"])
    spec = plan.runs[base["runs"][0]["run"]].spec
    settings = {"corpus": visit.corpus.name} | ({**TINY, "epochs": 2} if visit.tiny else {})
    spec = spec.changed(**settings)
    run = spec.run(visit.corpus.fingerprint)
    trainer = Trainer(spec, visit.corpus, "train", visit.device)
    checkpoint = Checkpoint(visit.given.out / "checkpoints", run, "train")
    if (state := checkpoint.load()) is not None:
        trainer.restore(state)
    left = max(1.0, visit.ends - time.monotonic())
    timer = threading.Timer(left, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with Progress(run, trainer.epochs, live=False, tokens=trainer.batches.numel()) as progress:
            trainer.run(checkpoint, 120, progress)
    except Interrupted as error:
        print(f"{run}: {error}; the same command goes on", file=sys.stderr)
    finally:
        timer.cancel()
    for line in trainer.history:
        for figure in ("valid_perplexity", "seconds"):
            yield _line("train", "c", run, figure, line[figure], line["epoch"])


PARTS = {"check": check, "speed": speed, "together": together, "train": train}


# results ------------------------------------------------------------------------------------


def _line(
    part: str,
    configuration: str,
    contestant: str,
    figure: str,
    value: object,
    number: int = 1,
    passed: bool | None = None,
) -> dict:
    """A line of the csv; a check that did not pass has an exclamation mark before its value."""
    shown = f"! {value}" if passed is False else value
    values = (part, configuration, contestant, figure, number, shown)
    return dict(zip(COLUMNS, values, strict=True))


def files(folder: Path, name: str) -> tuple[Path, Path]:
    """The csv and the md of a device."""
    stem = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
    return folder / f"gpu-{stem}.csv", folder / f"gpu-{stem}.md"


def merge(path: Path, part: str, lines: list[dict]) -> list[dict]:
    """Write ``lines`` in place of those that ``path`` has of this part; return all."""
    kept = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            kept = [line for line in csv.DictReader(file) if line["part"] != part]
    merged = sorted(kept + lines, key=lambda line: list(PARTS).index(line["part"]))
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(merged)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(lines: list[dict], name: str, libraries: dict[str, str]) -> str:
    """The md: checks, medians of speeds, sums of what ran together, and the learning curve."""
    versions = {"Python": platform.python_version(), "torch": torch.__version__, **libraries}
    text = [
        f"# {name}, {date.today()}\n",
        ", ".join(f"{key} {value}" for key, value in versions.items())
        + ". Made by `python benchmarks/gpu.py`.\n",
    ]
    text += [
        f"**{line['part']}** {ERROR}: {line['value'].removeprefix('! ')}\n"
        for line in lines
        if line["figure"] == ERROR
    ]
    lines = [line for line in lines if line["figure"] != ERROR]
    parts = {part: [line for line in lines if line["part"] == part] for part in PARTS}
    if found := parts["check"]:
        text += ["## Checks\n", "| check | model | value | passed |", "|---|---|--:|---|"]
        for line in found:
            value = line["value"].removeprefix("! ")
            passed = "no" if line["value"].startswith("! ") else "yes"
            text.append(f"| {line['figure']} | {line['configuration']} | {value} | {passed} |")
    if found := parts["speed"]:
        text += ["\n## Training steps, tokens per second\n"]
        for configuration in sorted({line["configuration"] for line in found}):
            text += [f"**({configuration})** {MEANINGS[configuration]}\n"]
            text += ["| contestant | median | rounds |", "|---|--:|--:|"]
            text += _medians(line for line in found if line["configuration"] == configuration)
            text.append("")
    if found := parts["together"]:
        text += [
            "## Several trainings of (a) at once\n",
            "| | tokens per second, all together |",
            "|---|--:|",
        ]
        names = dict.fromkeys(line["contestant"] for line in found)
        for contestant in names:
            rates = [float(line["value"]) for line in found if line["contestant"] == contestant]
            text.append(f"| {contestant} | {sum(rates):,.0f} |")
    if found := parts["train"]:
        text += ["\n## AWD-LSTM at full scale\n", f"`{found[0]['contestant']}`\n"]
        text += ["| epoch | valid perplexity | seconds |", "|--:|--:|--:|"]
        by_epoch: dict[int, dict[str, str]] = {}
        for line in found:
            by_epoch.setdefault(int(line["round"]), {})[line["figure"]] = line["value"]
        for epoch, values in by_epoch.items():
            if epoch in (1, 10, 30, 80, 150) or epoch == max(by_epoch):
                perplexity, taken = float(values["valid_perplexity"]), float(values["seconds"])
                text.append(f"| {epoch} | {perplexity:.2f} | {taken:.2f} |")
    return "\n".join(text).rstrip("\n") + "\n"


def _medians(lines: Iterator[dict]) -> list[str]:
    rates: dict[str, list[float]] = {}
    for line in lines:
        rates.setdefault(line["contestant"], []).append(float(line["value"]))
    return [
        f"| {name} | {sorted(found)[len(found) // 2]:,.0f} | {len(found)} |"
        for name, found in rates.items()
    ]


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="encoded Penn Treebank")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="small models, to try the script")
    parser.add_argument("--minutes", type=float, default=9.0, help="most that a part may take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    if arguments.parts == ["one"]:
        one(Visit(arguments))
        return
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    failed = [part for part in arguments.parts or PARTS if not measured(part, arguments)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measured(part: str, arguments: argparse.Namespace) -> bool:
    """Run a part and write each line as soon as it is measured; return whether it ended well."""
    visit = Visit(arguments)
    table, page = files(arguments.out, visit.name)
    lines: list[dict] = []
    well = True
    try:
        for line in PARTS[part](visit):
            lines.append(line)
            merge(table, part, lines)
    except Exception as error:  # the other parts are worth their time
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        lines.append(_line(part, "", "", ERROR, reason, passed=False))
        well = False
    text = summary(merge(table, part, lines), visit.name, devices.gpu_libraries(visit.device))
    write_text(page, text)
    print(f"{part}: {table}, {page}")
    return well


if __name__ == "__main__":
    main()
