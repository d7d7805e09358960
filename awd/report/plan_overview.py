"""A plan on a terminal: its runs, who shares them, and what is still to be spent on them."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from awd import corpora
from awd.errors import InputError
from awd.machine import cpu
from awd.report.status import terminal_or_wide
from awd.report.words import listed, plural
from awd.runs.clean import size
from awd.runs.measured_speed import MeasuredSpeed
from awd.runs.progress import duration, share_done
from awd.study import cost, job_requests, parts
from awd.study.plan import Plan, Run
from awd.vocabulary import Device, Stage

if TYPE_CHECKING:
    from awd.report.power import Assumption, Design, Pool


FEW_UPDATES = 2
"""Updates of an epoch that are so few that a warning is due."""


@dataclass
class Time:
    """Seconds for training, and ``besides`` for starting jobs and for evaluations."""

    training: float = 0.0
    besides: float = 0.0

    @property
    def total(self) -> float:
        """Both together."""
        return self.training + self.besides


@dataclass
class Need:
    """What runs still need: the time of one ``core`` or of one ``gpu``, and bytes of disk.

    ``disk`` stays; ``checkpoint`` is the most that one training takes while it runs. ``unknown``
    runs are not counted, because the size of their corpus is not known.
    """

    core: Time = field(default_factory=Time)
    gpu: Time = field(default_factory=Time)
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
        """Return what training ``stages`` still takes; None if the corpus' size is not known.

        What a stopped or running training has behind it does not count.
        """
        total = 0.0
        for stage in stages:
            seconds = self._plan.seconds(run.spec, [stage], partial(self._pace, device))
            if seconds is None:
                return None
            total += seconds * (1 - share_done(self._plan.checkpoints, run.name, stage))
        return total

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
        """Return a sentence for each device of an estimate that states where it comes from."""
        speed = cost.SPEEDS[self.speed_of]
        core = (
            f"{speed.fp32 / 1e9:.0f} (fp32) or {speed.bf16 / 1e9:.0f} (bf16) GFLOP/s and "
            f"{1000 * speed.update:.1f} ms per update, measured on a core of {self.speed_of}"
        )
        gpu = f"{cost.GPU_RATE / 1e12:.1f} TFLOP/s, the speed of Yoon et al. on a GTX 1080 Ti"
        gpus = ", ".join(sorted(self.trainings.gpus))
        return [
            *self._source(Device.CPU, f"a core of {self.cpu}", core),
            *self._source(Device.CUDA, f"a GPU ({gpus})" if gpus else "a GPU", gpu),
            *self._gpu_memory(),
        ]

    def _source(self, device: Device, name: str, constants: str) -> list[str]:
        measured, computed = (len(each[device]) for each in (self.measured, self.computed))
        if not measured and not computed:
            return []
        if not measured and device is Device.CUDA:
            none = "not measured, as no training of these sizes has run on one here"
            return [f"Time of {name}: {none}; computed at {constants}."]
        if not measured:
            return [f"Time of {name}: computed, at {constants}."]
        trainings = sum(len(self.trainings.seconds[device, each]) for each in self.measured[device])
        text = f"Time of {name}: from {plural(trainings, 'earlier training')} of equal size"
        return [
            f"{text}; {plural(computed, 'other size')} at {constants}." if computed else f"{text}."
        ]

    def _gpu_memory(self) -> list[str]:
        """A sentence on the memory of a GPU, where one is asked for."""
        if self._plan.config.device != Device.CUDA:
            return []
        known = [self.trainings.gpu_megabytes.get(each) for each in self.measured[Device.CUDA]]
        most = max((each for each in known if each is not None), default=None)
        if most is not None:
            return [f"GPU memory of a training: at most {most:,.0f} MB in these trainings."]
        if not self.computed[Device.CUDA]:
            return []
        return [
            "GPU memory of a training: not known, as none of these sizes has run on a GPU here."
        ]


def need(runs: Iterable[Run], plan: Plan, estimates: Estimates) -> Need:
    """Add up what ``runs`` need: the stages and evaluations that have no record."""
    found = Need()
    for run in runs:
        stages, sizes = plan.stages_to_train(run), plan.sizes(run.spec.corpus)
        if sizes is None:
            found.unknown += bool(stages)
            continue
        for device, time in ((Device.CPU, found.core), (Device.CUDA, found.gpu)):
            time.training += estimates.seconds(run, stages, device) or 0
            time.besides += estimates.besides(run, stages, device)
        found.disk += cost.kept_bytes(run.spec, len(stages), len(run.not_evaluated()), sizes)
        if stages:
            found.checkpoint = max(found.checkpoint, cost.checkpoint_bytes(run.spec, sizes))
    return found


def times_of_jobs(plan: Plan, profile: Path, estimates: Estimates) -> tuple[list[str], list[str]]:
    """Compare what the longest training of each stage needs with what ``profile`` gives it.

    A job has ``runtime`` minutes in each of 1 + ``retries`` tries, and continues in the next one.
    Where the profile gives none, they are those that the job asks for. Returns sentences that
    state, and sentences that warn: of a time that is too short, or that only Snakemake can compute.
    Raises InputError if the profile cannot be read.
    """
    from awd.study.cluster_profile import ClusterProfile  # takes time to import

    given = ClusterProfile(profile)
    device = Device.CPU if plan.config.device == Device.CPU else Device.CUDA
    enough, late = [], []
    computed: dict[str, list[str]] = {}
    for stage in Stage:
        needed = [
            (found, run.name)
            for run in plan.runs.values()
            if stage in plan.stages_to_train(run)
            and (found := estimates.seconds(run, [stage], device)) is not None
        ]
        if not needed:
            continue
        longest, name = max(needed)
        tries, minutes = given.tries, given.minutes(stage)
        if isinstance(tries, str) or isinstance(minutes, str):
            what = f"retries is {tries!r}" if isinstance(tries, str) else f"runtime is {minutes!r}"
            computed.setdefault(what, []).append(stage)
            continue
        each = 60 * (job_requests.minutes(longest) if minutes is None else minutes)
        gives = f"{given.path} gives {stage} {plural(tries, 'time')} {duration(each)}"
        needs = f"about {duration(longest)} on one {'core' if device is Device.CPU else 'GPU'}"
        if longest <= tries * each:
            enough.append(f"{gives}; the longest one needs {needs}.")
        else:
            others = sum(seconds > tries * each for seconds, _ in needed) - 1
            late.append(
                f"{gives}, but {name} needs {needs}"
                + (f" (too short for {plural(others, 'other run')}, too)" if others else "")
                + ": raise retries or runtime"
            )
    return enough, late + [
        f"{given.path}: {what}, whose value only Snakemake computes: not compared with the time "
        f"that {' and '.join(stages)} need{'s' * (len(stages) == 1)}"
        for what, stages in computed.items()
    ]


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


def short_texts(plan: Plan) -> list[str]:
    """Return a sentence for each text that is so short that nothing can be learnt or measured.

    Of a training text, where an epoch of a row is no more than FEW_UPDATES.
    """
    rows: dict[str, list[str]] = {}
    for row, spec in {row: run.spec for run in plan.runs.values() for row in run.rows}.items():
        sizes = plan.sizes(spec.corpus)
        if not sizes or spec.reading == "sentences":
            continue
        tokens = min(spec.train_tokens or math.inf, sizes["tokens"]["train"])
        updates = math.ceil(tokens // spec.batch_size / spec.bptt)
        if updates <= FEW_UPDATES:
            sentence = (
                f"an epoch of the {plural(tokens, 'training token')} of '{spec.corpus}' is "
                f"{plural(updates, 'update')} of batch_size {spec.batch_size} and bptt {spec.bptt}"
            )
            rows.setdefault(sentence, []).append(f"'{row}'")
    found = [
        f"{'rows' if len(names) > 1 else 'row'} {listed(names)}: {sentence}"
        for sentence, names in rows.items()
    ]
    for corpus in plan.fingerprints:
        sizes = plan.sizes(corpus)
        if sizes and (short := corpora.short_texts(corpus, sizes["tokens"])):
            found.append(f"corpus {corpus}: {short}")
    return found


def show_plan(plan: Plan, profile: Path | None = None) -> None:
    """Print the runs of ``plan``, which rows share them, which are done, what the rest costs.

    And warn of learning rates that are never divided, of sizes that have no effect and, with the
    ``profile`` of a cluster, of what it gives too little time.
    """
    from awd.report import power  # pandas and scipy, which other commands do not need

    console = terminal_or_wide()
    estimates = Estimates(plan)
    enough, late = times_of_jobs(plan, profile, estimates) if profile else ([], [])
    console.print(_runs(plan, estimates))
    designs, measured = _power(plan)
    for (key, factors, value), where in plan.relative.items():
        console.print(f"{key} {factors} is {value:g}: {', '.join(where)}", soft_wrap=True)
    for sentence in plan.omitted:
        console.print(f"left out: {sentence}", soft_wrap=True)
    if len(plan.suites) > 1:
        console.print("", _suites(plan, estimates), sep="\n")
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    done = sum(map(plan.done, plan.runs.values()))
    one_more = _one_more(plan, estimates)
    console.print(
        f"\n{plural(len(plan.suites), 'suite')}, {plural(rows, 'row')}, {_seeds(plan)}: "
        f"{plural(len(plan.runs), 'run')}, {shared} of them shared by several rows; {done} done.",
        _still_to_do(need(plan.runs.values(), plan, estimates), plan),
        *_replicates(plan, estimates),
        *one_more,
        *estimates.sources(),
        *power.summary(designs, measured),
        *enough,
        sep="\n",
    )
    for sentence in (*never_divided(plan), *no_hidden_size(plan), *short_texts(plan), *late):
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True)


def show_power_of(plan: Plan) -> None:
    """Print which differences 1 to 10 seeds can find."""
    from awd.report import power

    designs, measured = _power(plan)
    power.show_power(designs, measured, terminal_or_wide())


def _power(plan: Plan) -> tuple[list["Design"], dict["Pool", "Assumption"]]:
    """What the plan can find by report.power: its designs and the noise, with what is trained.

    A search finds its best trial on validation text, and has no design.
    """
    from awd.report import power

    content = plan.as_dict()
    with_trained = parts.with_trained(content, plan.folder, plan.has_record)
    designs = [] if plan.trials else power.designs(with_trained, content)
    return designs, power.assumptions(with_trained, plan.results)


def _replicates(plan: Plan, estimates: Estimates) -> list[str]:
    """What the further seeds of base rows still need, in a sentence."""
    once = Plan(plan.config.model_dump() | {"base_seeds": 1})
    further = [run for name, run in plan.runs.items() if name not in once.runs]
    found = need(further, plan, estimates)
    if not found.core.training:
        return []
    return [
        f"Of this, further seeds of base rows, which show the noise of training, are "
        f"{duration(found.core.training)} of one core or {duration(found.gpu.training)} of one "
        "GPU (base_seeds=1 leaves them out)."
    ]


def _runs(plan: Plan, estimates: Estimates) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{plan.name}: {', '.join(plan.suites)}")
    table.add_column("run", overflow="fold")
    table.add_column("rows", overflow="fold")
    for heading in ("parameters", "one core", "one GPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for run in plan.runs.values():
        parameters, stages = plan.parameters(run), plan.stages_to_train(run)
        times = [estimates.seconds(run, stages, each) for each in (Device.CPU, Device.CUDA)]
        bound = "≤ " * bool(run.spec.patience)
        table.add_row(
            run.name if run.spec.precision == "fp32" else f"{run.name} ({run.spec.precision})",
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            *("?" if each is None else bound + duration(each) if stages else "" for each in times),
            "to do" if stages else "to evaluate" if run.not_evaluated() else "done",
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
    times = [duration(time.training) + mark for time in (found.core, found.gpu)]
    return [*times, size(found.disk) + mark]


def _counts(plan: Plan) -> set[int]:
    """The numbers of seeds that rows have."""
    return {len(row["runs"]) for suite in plan.suites.values() for row in suite["rows"]}


def _seeds(plan: Plan) -> str:
    fewest, most = min(_counts(plan)), max(_counts(plan))
    return f"{fewest} to {most} seeds" if fewest < most else plural(most, "seed")


def _still_to_do(found: Need, plan: Plan) -> str:
    not_counted = (
        f"{plural(found.unknown, 'run')} not counted: the corpus cannot be read to count its words."
    )
    if not found.core.besides:
        return f"Still to do: {not_counted}" if found.unknown else "Nothing is left to do."
    figures = sum(len(suite["figures"]) for suite in plan.suites.values())
    once = cost.WORKFLOW + cost.FIGURE * figures
    core, gpu = (
        f"{duration(time.total + once)} on one {device} ({duration(time.training)} of training)"
        for device, time in (("core", found.core), ("GPU", found.gpu))
    )
    text = f"Still to do: about {core}, or {gpu}."
    if not found.core.training:
        besides = duration(found.core.besides + once)
        text = f"Still to do: about {besides} of evaluations, tables and figures; all is trained."
    text += f" {size(found.disk)} of weights and losses stay on disk"
    if found.checkpoint:
        text += f"; a training that runs has up to {size(found.checkpoint)} of checkpoints"
    return f"{text}. {not_counted}" if found.unknown else f"{text}."


def _one_more(plan: Plan, estimates: Estimates) -> list[str]:
    """What one more seed of each row costs, in a sentence; none for the trials of a search."""
    if plan.trials:
        return []
    seeds = plan.config.seeds
    more = [*seeds, max(seeds) + 1] if isinstance(seeds, list) else min(_counts(plan)) + 1
    try:
        wider = Plan(plan.config.model_dump() | {"seeds": more})
    except InputError:  # more seeds than are allowed
        return []
    runs = [run for name, run in wider.runs.items() if name not in plan.runs]
    found = need(runs, plan, estimates)
    if not runs or found.unknown:
        return []
    done = sum(map(plan.done, runs))
    given = f"seeds={more}".replace(" ", "")
    text = f"One more seed of each row ({given}): {plural(len(runs), 'more run')}"
    text += f" ({done} done)" if done else ""
    if found.core.besides:
        core, gpu = (duration(time.total) for time in (found.core, found.gpu))
        text += f", about {core} on one core, or {gpu} on one GPU"
    return [f"{text}."]
