"""A plan on a terminal: its runs, who shares them, and what is still to be spent on them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from awd.errors import InputError
from awd.report.terminal import terminal_or_wide
from awd.runs.clean import size
from awd.runs.progress import duration
from awd.study import cost
from awd.study.plan import Plan, Run
from awd.study.yaml_text import read_yaml
from awd.vocabulary import Device, Stage


@dataclass(frozen=True)
class Need:
    """What runs still need: seconds of one core or of one GPU, and bytes of disk.

    ``disk`` stays; ``checkpoint`` is the most that one training takes while it runs. ``unknown``
    runs are not counted, because the size of their corpus is not known.
    """

    core: float = 0.0
    gpu: float = 0.0
    disk: float = 0.0
    checkpoint: float = 0.0
    unknown: int = 0


def need(runs: Iterable[Run], plan: Plan) -> Need:
    """Add up what ``runs`` need that are not done."""
    core = gpu = disk = checkpoint = 0.0
    unknown = 0
    for run in runs:
        what = run.spec, run.stages, plan.sizes[run.spec.corpus]
        if plan.done(run):
            continue
        if what[-1] is None:
            unknown += 1
            continue
        core += cost.core_seconds(*what) or 0
        gpu += cost.gpu_seconds(*what) or 0
        disk += cost.kept_bytes(*what) or 0
        checkpoint = max(checkpoint, cost.checkpoint_bytes(run.spec, what[-1]) or 0)
    return Need(core, gpu, disk, checkpoint, unknown)


def too_long(plan: Plan, profile: Path) -> list[str]:
    """Return a sentence for each stage that the ``profile`` of a cluster gives too little time.

    A job has ``runtime`` minutes in each of 1 + ``retries`` tries, and continues in the next one.
    Raises InputError if the folder has no profile, or if its numbers are no numbers.
    """
    path = Path(profile) / "profile.yaml"
    content: Any = read_yaml(path)
    on_core = plan.config.device == Device.CPU
    seconds = cost.core_seconds if on_core else cost.gpu_seconds
    sentences = []
    try:
        tries = 1 + content.get("retries", 0)
        for stage in Stage:
            minutes = content.get("set-resources", {}).get(stage, {}).get("runtime")
            needed = [
                (found, run.name)
                for run in plan.runs.values()
                if stage in run.stages and not (run.folder / f"{stage}.json").exists()
                if (found := _stage_seconds(seconds, run, stage, plan)) is not None
            ]
            if minutes is None or not needed or max(needed)[0] <= tries * minutes * 60:
                continue
            longest, name = max(needed)
            sentences.append(
                f"{path} gives {stage} {_count(tries, 'time')} {duration(minutes * 60)}, but "
                f"{name} needs about {duration(longest)} on one {'core' if on_core else 'GPU'}: "
                "raise retries or runtime"
            )
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path}: retries and runtime must be whole numbers: {error}") from error
    return sentences


def _stage_seconds(seconds: Callable, run: Run, stage: Stage, plan: Plan) -> float | None:
    """What one stage of a run takes: fine-tuning is what both take, less what training takes."""
    sizes = plan.sizes[run.spec.corpus]
    if sizes is None or stage == Stage.TRAIN:
        return seconds(run.spec, [Stage.TRAIN], sizes)
    both = seconds(run.spec, [Stage.TRAIN, Stage.FINETUNE], sizes)
    return both - seconds(run.spec, [Stage.TRAIN], sizes)


def show_plan(plan: Plan, profile: Path | None = None) -> None:
    """Print the runs of ``plan``, which rows share them, which are done, what the rest costs.

    And, with the ``profile`` of a cluster, what it gives too little time.
    """
    from awd.report import power  # pandas and scipy, which other commands do not need

    console = terminal_or_wide()
    console.print(_runs(plan))
    content = plan.as_dict()
    measured = power.assumptions(content, plan.results, plan.name)
    for sentence in plan.omitted:
        console.print(f"left out: {sentence}", soft_wrap=True)
    if len(plan.suites) > 1:
        console.print("", _suites(plan), sep="\n")
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    done = sum(map(plan.done, plan.runs.values()))
    console.print(
        f"\n{_count(len(plan.suites), 'suite')}, {_count(rows, 'row')}, {_seeds(plan)}: "
        f"{_count(len(plan.runs), 'run')}, {shared} of them shared by several rows; {done} done.",
        _still_to_train(need(plan.runs.values(), plan)),
        *_replicates(plan),
        *power.summary(content, measured),
        sep="\n",
    )
    for sentence in too_long(plan, profile) if profile else ():
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True)


def show_power_of(plan: Plan) -> None:
    """Print which differences 1 to 10 seeds can find."""
    from awd.report import power

    content = plan.as_dict()
    measured = power.assumptions(content, plan.results, plan.name)
    power.show_power(content, measured, terminal_or_wide())


def _replicates(plan: Plan) -> list[str]:
    """What the further seeds of base rows still need, in a sentence."""
    once = Plan(plan.config.model_dump() | {"base_seeds": 1})
    found = need((run for name, run in plan.runs.items() if name not in once.runs), plan)
    if not found.core:
        return []
    return [
        f"Of this, further seeds of base rows, which show the noise of training, are "
        f"{duration(found.core)} of one core or {duration(found.gpu)} of one GPU (base_seeds=1 "
        "leaves them out)."
    ]


def _runs(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{plan.name}: {', '.join(plan.suites)}")
    table.add_column("run", overflow="fold")
    table.add_column("rows", overflow="fold")
    for heading in ("parameters", "one core", "one GPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for run in plan.runs.values():
        parameters = plan.parameters(run)
        what = run.spec, run.stages, plan.sizes[run.spec.corpus]
        table.add_row(
            run.name if run.spec.precision == "fp32" else f"{run.name} ({run.spec.precision})",
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            *(
                "?" if seconds is None else "≤ " * bool(run.spec.patience) + duration(seconds)
                for seconds in (cost.core_seconds(*what), cost.gpu_seconds(*what))
            ),
            "done" if plan.done(run) else "to do",
        )
    return table


def _suites(plan: Plan) -> Table:
    """What each suite still needs; a run that several suites share is counted in each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("still to do", no_wrap=True)
    for heading in ("runs", "one core", "one GPU", "disk"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, suite in plan.suites.items():
        runs = [run for run in plan.runs.values() if _belongs(run, suite)]
        table.add_row(name, str(sum(not plan.done(run) for run in runs)), *_cells(need(runs, plan)))
    return table


def _belongs(run: Run, suite: Mapping) -> bool:
    return any(row.partition("/")[0] == suite["suite"] for row in run.rows)


def _cells(found: Need) -> list[str]:
    mark = "?" if found.unknown else ""
    return [duration(found.core) + mark, duration(found.gpu) + mark, size(found.disk) + mark]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _seeds(plan: Plan) -> str:
    counts = {len(row["runs"]) for suite in plan.suites.values() for row in suite["rows"]}
    fewest, most = min(counts), max(counts)
    return f"{fewest} to {most} seeds" if fewest < most else _count(most, "seed")


def _still_to_train(found: Need) -> str:
    rates = " or ".join(f"{rate / 1e9:.0f} ({name})" for name, rate in cost.CPU_RATE.items())
    text = (
        f"Still to train: about {duration(found.core)} of one core (at {rates} GFLOP/s and "
        f"{1000 * cost.UPDATE:.0f} ms per update, measured on a core of an AMD EPYC, Zen 5) or "
        f"{duration(found.gpu)} of one GPU (at {cost.GPU_RATE / 1e12:.1f} TFLOP/s, a GTX 1080 Ti "
        f"in the logs of Yoon et al.). {size(found.disk)} of weights and losses stay on disk; a "
        f"training that runs has up to {size(found.checkpoint)} of checkpoints."
    )
    if found.unknown:
        text += (
            f" {_count(found.unknown, 'run')} not counted: the corpus cannot be read to count its "
            "words."
        )
    return text
