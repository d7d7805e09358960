"""A plan on a terminal: its runs, who shares them, and what is still to be spent on them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from awd.errors import InputError
from awd.machine import cpu
from awd.report.status import terminal_or_wide
from awd.report.words import plural
from awd.runs.clean import size
from awd.runs.measured_speed import MeasuredSpeed
from awd.runs.progress import duration
from awd.study import cost, job_requests
from awd.study.plan import Plan, Run
from awd.study.yaml_text import read_yaml
from awd.vocabulary import Device, Stage


@dataclass(frozen=True)
class Need:
    """What runs still need: seconds of one core or of one GPU, and bytes of disk.

    ``core`` or ``gpu`` are for training, ``core_besides`` or ``gpu_besides`` for starting jobs and
    for evaluations. ``disk`` stays; ``checkpoint`` is the most that one training takes while it
    runs. ``unknown`` runs are not counted, because the size of their corpus is not known.
    """

    core: float = 0.0
    gpu: float = 0.0
    core_besides: float = 0.0
    gpu_besides: float = 0.0
    disk: float = 0.0
    checkpoint: float = 0.0
    unknown: int = 0


class Estimates:
    """Estimates of the seconds that the trainings of a plan take.

    Trainings of the same size in the plan's folder of results count first, if they ran on this
    machine's kind of CPU, or on a GPU. Otherwise study.cost has the speed of the CPU and of a GPU.

    Attributes:
        measured: by kind of device, the sizes whose speed is that of earlier trainings.
        computed: those whose speed is computed.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.cpu = cpu.name()
        self.speed_of = cpu.kind() if cpu.kind() in cost.SPEEDS else cost.USUAL_CPU
        self.trainings = MeasuredSpeed(plan.results / "runs", self.cpu)
        self.measured: dict[Device, set[cost.Size]] = {device: set() for device in Device}
        self.computed: dict[Device, set[cost.Size]] = {device: set() for device in Device}

    def seconds(self, run: Run, stages: Collection[str], device: Device) -> float | None:
        """Return what training ``stages`` takes; None if the size of the corpus is not known."""
        return self._plan.seconds(run.spec, stages, partial(self._pace, device))

    def besides(self, run: Run, stages: Collection[str], device: Device) -> float:
        """Return what starting the jobs of a run and its evaluations take.

        ``stages`` are to be trained; the job that trains one also evaluates its plain stream. 0
        for evaluations on a corpus whose size is not known.
        """
        wanted = run.not_evaluated()
        own = [each for each in wanted if each[1] != "stream" or each[0] not in stages]
        seconds = cost.START * (len(stages) + len(own))
        for each in wanted:
            models, pace = 1 + len(run.evaluations[each]), partial(self._pace, device)
            seconds += self._plan.evaluation_seconds(run.spec, models, pace) or 0
        return seconds

    def _pace(self, device: Device, size: cost.Size) -> float:
        """The seconds per token, of earlier trainings if there are any."""
        seconds = self.trainings.per_token(device, size)
        (self.computed if seconds is None else self.measured)[device].add(size)
        if seconds is not None:
            return seconds
        if device is Device.CUDA:
            return cost.gpu_seconds(size)
        return cost.core_seconds(size, cost.SPEEDS[self.speed_of])

    def sources(self) -> list[str]:
        """Return a sentence for each kind of device that states where its estimates come from."""
        speed = cost.SPEEDS[self.speed_of]
        core = (
            f"{speed.fp32 / 1e9:.0f} (fp32) or {speed.bf16 / 1e9:.0f} (bf16) GFLOP/s and "
            f"{1000 * speed.update:.1f} ms per update, measured on a core of {self.speed_of}"
        )
        gpu = f"{cost.GPU_RATE / 1e12:.1f} TFLOP/s, measured by Yoon et al. on a GTX 1080 Ti"
        gpus = ", ".join(sorted(self.trainings.gpus))
        return [
            f"Time of {self._source(Device.CPU, f'a core of {self.cpu}', core)}.",
            f"Time of {self._source(Device.CUDA, f'a GPU ({gpus})' if gpus else 'a GPU', gpu)}.",
        ]

    def _source(self, device: Device, name: str, constants: str) -> str:
        measured, computed = (len(each[device]) for each in (self.measured, self.computed))
        if not measured:
            return f"{name}: computed, at {constants}"
        trainings = sum(len(self.trainings.seconds[device, each]) for each in self.measured[device])
        text = f"{name}: from {plural(trainings, 'earlier training')} of equal size"
        return f"{text}; {plural(computed, 'other size')} at {constants}" if computed else text


def need(runs: Iterable[Run], plan: Plan, estimates: Estimates) -> Need:
    """Add up what ``runs`` need: the stages and evaluations that have no record."""
    core = gpu = core_besides = gpu_besides = disk = checkpoint = 0.0
    unknown = 0
    for run in runs:
        stages, sizes = plan.stages_to_train(run), plan.sizes(run.spec.corpus)
        if sizes is None:
            unknown += bool(stages)
            continue
        core_besides += estimates.besides(run, stages, Device.CPU)
        gpu_besides += estimates.besides(run, stages, Device.CUDA)
        disk += cost.kept_bytes(run.spec, len(stages), len(run.not_evaluated()), sizes)
        if stages:
            core += estimates.seconds(run, stages, Device.CPU) or 0
            gpu += estimates.seconds(run, stages, Device.CUDA) or 0
            checkpoint = max(checkpoint, cost.checkpoint_bytes(run.spec, sizes))
    return Need(core, gpu, core_besides, gpu_besides, disk, checkpoint, unknown)


def too_long(plan: Plan, profile: Path, estimates: Estimates) -> list[str]:
    """Return a sentence for each stage that the ``profile`` of a cluster gives too little time.

    A job has ``runtime`` minutes in each of 1 + ``retries`` tries, and continues in the next one.
    Where the profile gives none, they are those that the job asks for.
    Raises InputError if the folder has no profile, or if its numbers are no numbers.
    """
    path = Path(profile) / "profile.yaml"
    content: Any = read_yaml(path)
    on_core = plan.config.device == Device.CPU
    device = Device.CPU if on_core else Device.CUDA
    sentences = []
    try:
        tries = 1 + content.get("retries", 0)
        for stage in Stage:
            minutes = content.get("set-resources", {}).get(stage, {}).get("runtime")
            needed = [
                (found, run.name)
                for run in plan.runs.values()
                if stage in plan.stages_to_train(run)
                and (found := estimates.seconds(run, [stage], device)) is not None
            ]
            if not needed:
                continue
            longest, name = max(needed)
            each = job_requests.minutes(longest) if minutes is None else minutes
            if longest <= tries * each * 60:
                continue
            sentences.append(
                f"{path} gives {stage} {plural(tries, 'time')} {duration(each * 60)}, but "
                f"{name} needs about {duration(longest)} on one {'core' if on_core else 'GPU'}: "
                "raise retries or runtime"
            )
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path}: retries and runtime must be whole numbers: {error}") from error
    return sentences


def never_divided(plan: Plan) -> list[str]:
    """Return a sentence for each row whose learning rate was to be divided, but never is.

    Not refused: a study that is tried with fewer epochs keeps its schedule.
    """
    specs = {row: run.spec for run in plan.runs.values() for row in run.rows}
    return [
        f"row '{row}': decay_first {spec.decay_first} of {plural(spec.epochs, 'epoch')}: the "
        "learning rate is never divided"
        for row, spec in specs.items()
        if spec.schedule == "step" and spec.decay_first >= spec.epochs
    ]


def no_hidden_size(plan: Plan) -> list[str]:
    """Return a sentence for each row whose hidden_size has no effect, as its only layer is tied."""
    specs = {row: run.spec for run in plan.runs.values() for row in run.rows}
    return [
        f"row '{row}': hidden_size {spec.hidden_size} has no effect: tied, its only layer has "
        f"embedding_size {spec.embedding_size} units"
        for row, spec in specs.items()
        if spec.tied and spec.layers == 1 and spec.hidden_size != spec.embedding_size
    ]


def show_plan(plan: Plan, profile: Path | None = None) -> None:
    """Print the runs of ``plan``, which rows share them, which are done, what the rest costs.

    And warn of learning rates that are never divided, of sizes that have no effect and, with the
    ``profile`` of a cluster, of what it gives too little time.
    """
    from awd.report import power  # pandas and scipy, which other commands do not need

    console = terminal_or_wide()
    estimates = Estimates(plan)
    console.print(_runs(plan, estimates))
    content = plan.as_dict()
    measured = power.assumptions(content, plan.results, plan.name)
    for (key, factors, value), where in plan.relative.items():
        console.print(f"{key} {factors} is {value:g}: {', '.join(where)}", soft_wrap=True)
    for sentence in plan.omitted:
        console.print(f"left out: {sentence}", soft_wrap=True)
    if len(plan.suites) > 1:
        console.print("", _suites(plan, estimates), sep="\n")
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    done = sum(map(plan.done, plan.runs.values()))
    console.print(
        f"\n{plural(len(plan.suites), 'suite')}, {plural(rows, 'row')}, {_seeds(plan)}: "
        f"{plural(len(plan.runs), 'run')}, {shared} of them shared by several rows; {done} done.",
        _still_to_do(need(plan.runs.values(), plan, estimates), plan),
        *estimates.sources(),
        *_replicates(plan, estimates),
        *power.summary(content, measured),
        sep="\n",
    )
    late = too_long(plan, profile, estimates) if profile else []
    for sentence in (*never_divided(plan), *no_hidden_size(plan), *late):
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True)


def show_power_of(plan: Plan) -> None:
    """Print which differences 1 to 10 seeds can find."""
    from awd.report import power

    content = plan.as_dict()
    measured = power.assumptions(content, plan.results, plan.name)
    power.show_power(content, measured, terminal_or_wide())


def _replicates(plan: Plan, estimates: Estimates) -> list[str]:
    """What the further seeds of base rows still need, in a sentence."""
    once = Plan(plan.config.model_dump() | {"base_seeds": 1})
    further = [run for name, run in plan.runs.items() if name not in once.runs]
    found = need(further, plan, estimates)
    if not found.core:
        return []
    return [
        f"Of this, further seeds of base rows, which show the noise of training, are "
        f"{duration(found.core)} of one core or {duration(found.gpu)} of one GPU (base_seeds=1 "
        "leaves them out)."
    ]


def _runs(plan: Plan, estimates: Estimates) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{plan.name}: {', '.join(plan.suites)}")
    table.add_column("run", overflow="fold")
    table.add_column("rows", overflow="fold")
    for heading in ("parameters", "one core", "one GPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for run in plan.runs.values():
        parameters = plan.parameters(run)
        table.add_row(
            run.name if run.spec.precision == "fp32" else f"{run.name} ({run.spec.precision})",
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            *(
                "?" if seconds is None else "≤ " * bool(run.spec.patience) + duration(seconds)
                for device in (Device.CPU, Device.CUDA)
                for seconds in [estimates.seconds(run, run.all_stages, device)]
            ),
            "done" if plan.done(run) else "to do",
        )
    return table


def _suites(plan: Plan, estimates: Estimates) -> Table:
    """What each suite still needs; a run that several suites share is counted in each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("still to do", no_wrap=True)
    for heading in ("runs", "one core", "one GPU", "disk"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, suite in plan.suites.items():
        own = f"{suite['suite']}/"
        runs = [run for run in plan.runs.values() if any(row.startswith(own) for row in run.rows)]
        found = need(runs, plan, estimates)
        table.add_row(name, str(sum(not plan.done(run) for run in runs)), *_cells(found))
    return table


def _cells(found: Need) -> list[str]:
    mark = "?" if found.unknown else ""
    return [duration(found.core) + mark, duration(found.gpu) + mark, size(found.disk) + mark]


def _seeds(plan: Plan) -> str:
    counts = {len(row["runs"]) for suite in plan.suites.values() for row in suite["rows"]}
    fewest, most = min(counts), max(counts)
    return f"{fewest} to {most} seeds" if fewest < most else plural(most, "seed")


def _still_to_do(found: Need, plan: Plan) -> str:
    figures = sum(len(suite["figures"]) for suite in plan.suites.values())
    once = cost.WORKFLOW + cost.FIGURE * figures if found.core_besides else 0.0
    core, gpu = (
        f"{duration(training + besides + once)} on one {device} ({duration(training)} of training)"
        for device, training, besides in (
            ("core", found.core, found.core_besides),
            ("GPU", found.gpu, found.gpu_besides),
        )
    )
    text = (
        f"Still to do: about {core}, or {gpu}. {size(found.disk)} of weights and losses stay on "
        f"disk; a training that runs has up to {size(found.checkpoint)} of checkpoints."
    )
    if found.unknown:
        text += (
            f" {plural(found.unknown, 'run')} not counted: the corpus cannot be read to count its "
            "words."
        )
    return text
