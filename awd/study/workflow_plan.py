"""The plan as the workflow's rules ask for it: each method answers one directive."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryFile

from snakemake.io import PeriodicityDetector, ancient

from awd.errors import InputError
from awd.files import is_there
from awd.machine import gpu_lease
from awd.places import CHECKOUT, HOME
from awd.study import cost, job_requests, parts
from awd.study.command_line import configuration
from awd.study.plan import Plan, Run
from awd.vocabulary import Device, Stage

SAME_IN_ALL_PLANS = {
    "mirror": None,
    "checkpoints": None,
    "device": "auto",
    "gpu_slots": 1,
    "checkpoint_minutes": 5.0,
    "keep_checkpoints": False,
    "figure_style": None,
}
"""Keys that decide where and how to train and how figures look: no part of a plan.

In the settings of a plan each of them has this value, whatever the configuration says: changing one
of them changes no plan. The values need only be valid; defaults stand in config/config.yaml.
"""

ROOM = 100_000
"""Bytes that must be free for Snakemake to start."""


class WorkflowPlan(Plan):
    """A Plan whose methods take Snakemake's wildcards.

    Attributes:
        gpus: how many jobs may hold a GPU at once; 0 means that jobs ask for none.
    """

    def __init__(self, workflow, config: Mapping):
        if workflow.modifier.path_modifier.prefix:
            raise InputError(
                "the module statement has a prefix, which names no folder inside records; "
                "set results in its config instead"
            )
        starts = workflow.is_main_process and not workflow.output_settings.dryrun
        if starts:
            _refuse_folder_without_room()
        plain, where, places = configuration(workflow, config)
        super().__init__(plain, where, places)
        if starts:
            for key, folder in (("results", self.results), ("checkpoints", self.checkpoints)):
                _refuse_unwritable(folder, f"{places.get(key, where)}: {key}")
        self._check_wildcards()
        if workflow.is_main_process:
            # Each is one sentence here; in a rule or a job of Snakemake it would be a traceback.
            self.refuse_short_texts()
            self._refuse_files_for_folders()
        self._in_job = not workflow.is_main_process
        self._deployed = bool(workflow.deployment_settings.deployment_method)
        self._workflow = workflow
        self.gpus = self._count_gpus(workflow.global_resources.get("gpu").value)

    def _check_wildcards(self) -> None:
        """Raise InputError for a wildcard's value that Snakemake would refuse.

        It would only warn, and take the results of an earlier configuration for up to date.
        """
        methods = [method for run in self.runs.values() for _, method in run.evaluations]
        detector = PeriodicityDetector()
        for name in (*self.suites, *self.fingerprints, *self.runs, *methods):
            if repeated := detector.is_periodic(name):
                raise InputError(
                    f"'{name}' ends in many times '{repeated}', which Snakemake refuses in the "
                    "name of a file; change the name or the setting"
                )

    def _refuse_files_for_folders(self) -> None:
        """Raise InputError for a file in place of a folder that the workflow writes into."""
        of_results = ("runs", "corpora", "logs", self.name)
        of_scale = ("plans", "tables", "figures")
        folders = [
            *(self.results / each for each in of_results),
            *(self.folder / each for each in of_scale),
            *map(self.corpus_folder, self.fingerprints),
            *(run.folder for run in self.runs.values()),
            *(self.checkpoints / run for run in self.runs),
        ]
        for folder in folders:
            if is_there(folder) and not folder.is_dir():
                raise InputError(
                    f"{folder} is no folder, but the workflow writes into a folder of that name: "
                    "move it away or delete it"
                )

    def trial_records(self) -> list[Path]:
        """Return the records of the trials of a search; none if the plan is no search."""
        return [self.runs[trial.run].folder / "train.json" for trial in self.trials]

    def is_written(self) -> bool:
        """Return whether the page is there, and parts of the plan with all runs of this one."""
        if self.trials or not (self.folder / "report.html").exists():
            return False
        try:
            written = [parts.read_part(path) for path in self.part_files()]
        except InputError:
            return False
        return self.runs.keys() <= {name for part in written for name in part["runs"]}

    @property
    def awd(self) -> str:
        """The shell text that starts awd in a job: this awd, whatever folder the job runs in.

        The interpreter is this one, or the one of the environment made for jobs.
        """
        python = "python" if self._deployed else shlex.quote(sys.executable)
        if not CHECKOUT:
            return f"{python} -m awd"
        path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
        return f"env PYTHONPATH={shlex.quote(path)} {python} -m awd"

    def environment(self, _wildcards) -> str | None:
        """Return the file of the environment of jobs, only if Snakemake is to make it.

        Snakemake takes braces in the project's path for wildcards of this file.
        """
        return "../envs/awd.yaml" if self._deployed else None

    def corpus_record(self, *outputs: str) -> Callable[..., list[Path]]:
        """Return the function from a job's wildcards to its corpus.json, if that is to be made.

        A corpus that is there is no input: it is never made again, and if Snakemake saw a reason
        to (another rule after an upgrade), it would skip the runs that read it, and succeed. Nor
        is one that was deleted an input of a finished run, which would be trained again as soon as
        another run needs the corpus. ``outputs`` are the job's files in the folder of its run.
        """

        def record(wildcards) -> list[Path]:
            path = self.corpus_folder(self._run(wildcards).spec.corpus) / "corpus.json"
            wanted = not path.exists() and not self._is_done(wildcards, outputs)
            return [path] if wanted or self._is_forced else []

        return record

    def trained(self, name: str, *outputs: str) -> Callable[..., list[Path | str]]:
        """Return the function from a job's wildcards to a file of its run that the job reads.

        ``outputs`` are the job's own files in the folder of the run. See `_timeless`.
        """

        def files(wildcards) -> list[Path | str]:
            path = self._run(wildcards).folder / name.format_map(vars(wildcards))
            return self._timeless(wildcards, [path], outputs)

        return files

    def _timeless(self, wildcards, inputs: list[Path], outputs: Iterable[str]) -> list[Path | str]:
        """Return ``inputs`` such that they are no reason to do a job again that is done.

        The name of a run has all that decides its outcome. So files that are newer than what was
        made of them, as in a copy, have changed nothing, and files that were deleted are no inputs.
        An input of a job that is not done is as usual: if it is made again, the job comes after it.
        """
        if self._is_forced or not self._is_done(wildcards, outputs):
            return list(inputs)
        return [ancient(str(path)) for path in inputs if path.exists()]

    def corpus(self, wildcards) -> str:
        """Return the folder of the run's corpus."""
        return str(self.corpus_folder(self._run(wildcards).spec.corpus))

    @cached_property
    def _finished(self) -> set[str]:
        """Runs of which each planned evaluation is recorded, alone and as a member."""
        unfinished = {name for name, run in self.runs.items() if not run.evaluations}
        for run in self.runs.values():
            for each in run.not_evaluated():
                unfinished.update([run.name, *run.evaluations[each]])
        return self.runs.keys() - unfinished

    @property
    def _is_forced(self) -> bool:
        """Whether Snakemake was told to do again what is done."""
        asked = self._workflow.dag_settings  # not there yet when the Snakefile is read
        return bool(asked.forceall or asked.forcetargets or asked.forcerun)

    def _is_done(self, wildcards, outputs: Iterable[str]) -> bool:
        """Return whether nobody needs the job: its outputs are there, or its run is finished.

        A file of the run that is missing, and was asked for by its name, is needed.
        """
        run = self._run(wildcards)
        targets = self._workflow.dag_settings.targets
        if any(run.name in target and not Path(target).exists() for target in targets):
            return False
        files = (run.folder / name.format_map(vars(wildcards)) for name in outputs)
        return run.name in self._finished or all(file.exists() for file in files)

    def spec(self, wildcards) -> str:
        """Return the run's hyperparameters as JSON."""
        return self._run(wildcards).spec.canonical()

    def evaluates(self, stage: str) -> Callable[..., int]:
        """Return the function from a job's wildcards to whether a row asks for its plain stream.

        The answer is 1 or 0, and a resource like those of `resources`: jobs with different texts as
        resources could be no group.
        """

        def is_evaluated(wildcards) -> int:
            return int((stage, "stream") in self._run(wildcards).evaluations)

        return is_evaluated

    def corpus_minimum_count(self, wildcards) -> int:
        """Return how often a word of the job's corpus must occur in train not to be unknown."""
        return self.minimum_count(wildcards.corpus)

    def source_options(self, wildcards) -> str:
        """Options of ``fetch``: where the corpus may lie on this machine.

        They are a resource and no parameter: a corpus that is there is not fetched again because
        another mirror was named. Its fingerprint tells whether it is the text that was planned.
        """
        folder = self.config.corpus_folders.get(wildcards.corpus)
        options = {"--folder": folder, "--mirror": self.config.mirror}
        return shlex.join(f"{option}={value}" for option, value in options.items() if value)

    def member_weights(self, *outputs: str) -> Callable[..., list[Path | str]]:
        """Like `trained`, of the weights of an ensemble's other members; none for others."""

        def files(wildcards) -> list[Path | str]:
            folders = [self.runs[member].folder for member in self._members(wildcards)]
            weights = [folder / f"{wildcards.stage}.safetensors" for folder in folders]
            return self._timeless(wildcards, weights, outputs)

        return files

    def member_options(self, wildcards) -> list[str]:
        """Options of ``evaluate``: the folders of an ensemble's other members."""
        folders = [self.runs[member].folder for member in self._members(wildcards)]
        return [word for folder in folders for word in ("--member", str(folder))]

    def _members(self, wildcards) -> list[str]:
        evaluations = self._run(wildcards).evaluations
        wanted = wildcards.stage, wildcards.method
        if wanted not in evaluations:
            raise self._unplanned(f"{wildcards.run}/{'.'.join(wanted)}.json")
        return evaluations[wanted]

    def _run(self, wildcards) -> Run:
        if wildcards.run not in self.runs:
            raise self._unplanned(wildcards.run)
        return self.runs[wildcards.run]

    def _unplanned(self, name: str) -> SystemExit:
        """Return what ends Snakemake with one sentence; other exceptions get a traceback."""
        return SystemExit(
            f"awd: {name} is not planned: if a suite or the configuration was edited while its "
            "jobs waited, run the command again"
        )

    def part_files(self) -> list[Path]:
        """Return the parts of the plan that this workflow writes; a search writes none."""
        return [] if self.trials else [parts.part_file(self.folder, suite) for suite in self.suites]

    def other_part_files(self) -> list[Path]:
        """Return the parts of other suites: page and combined table show them, too."""
        own = self.part_files()
        return [path for path in parts.files(self.folder) if path not in own]

    def figures(self) -> list[tuple[str, str, str]]:
        """Suite, name, and path without ending, of every figure."""
        return [
            (name, figure, f"{self.folder}/figures/{name}-{figure}")
            for name, suite in self.suites.items()
            for figure in suite["figures"]
        ]

    def report_words(self, **words: str) -> list[str]:
        """Return the words of ``report``: scale and results of this plan, and those given."""
        words = {"scale": self.name, "results": str(self.results), **words}
        if words.get("parts") in ("figures", "page") and self.config.figure_style:
            words["figure_style"] = self.config.figure_style
        return [f"{key}={value}" for key, value in words.items()]

    def settings(self, _wildcards) -> str:
        """Return the configuration as JSON, the same for all that plan the same.

        It is asked for job by job: Snakemake takes braces of other texts for wildcards.
        """
        return json.dumps(self.config.model_dump() | SAME_IN_ALL_PLANS, sort_keys=True)

    def resources(self, rule: str) -> dict[str, int | str | Callable[..., int]]:
        """Where and how a job of a rule works, with one GPU where GPUs are to be used.

        These are resources and no parameters, since changing them is no reason to train again.
        """
        keys = ("device", "gpu_slots", "checkpoint_minutes", "keep_checkpoints")
        settings: dict = {key: str(getattr(self.config, key)) for key in keys}
        settings |= {"checkpoints": str(self.checkpoints), "awd": self.awd}
        settings |= {"runtime": self._runtime(rule), "mem_mb": self.memory}
        if self.gpus:
            return settings | {"gpu": 1}
        # A cluster's job that was given no GPU leaves alone those that its node happens to have.
        return settings | ({"device": Device.CPU.value} if self._in_job else {})

    def _runtime(self, rule: str) -> Callable[..., int]:
        """Return the function from a job's wildcards and attempt to the minutes that it asks for.

        The jobs run on other machines than this one, so what was measured here does not count.
        """

        def runtime(wildcards, attempt: int) -> int:
            spec = self._run(wildcards).spec
            usual = partial(cost.core_seconds, speed=cost.SPEEDS[cost.USUAL_CPU])
            pace = cost.gpu_seconds if self.gpus else usual
            if rule in list(Stage):
                return job_requests.minutes(self.seconds(spec, [rule], pace), attempt)
            models = 1 + len(self._members(wildcards))
            return job_requests.minutes(self.evaluation_seconds(spec, models, pace), attempt)

        return runtime

    def memory(self, wildcards, attempt: int) -> int:
        """Return the megabytes of memory that a job asks for."""
        run = self._run(wildcards)
        vocabulary = (self.sizes(run.spec.corpus) or {}).get("vocabulary")
        gpu = bool(self.gpus)
        return job_requests.megabytes(run.spec, vocabulary, gpu=gpu, attempt=attempt)

    def _count_gpus(self, limit: int | None) -> int:
        """The limit that a profile or a command line gives, or the slots on this machine's GPUs.

        On a cluster it is the profile that knows: where Snakemake is started there may be no GPU. A
        job of the cluster is told by its environment what it was given.
        """
        if self.config.device == Device.CPU:
            return 0
        # Where cuda is asked for, at least one, so that its absence is a job's clear complaint.
        least = int(self.config.device == Device.CUDA)
        if self._in_job:
            given = "CUDA_VISIBLE_DEVICES" in os.environ and gpu_lease.visible()
            return least or int(bool(given))
        if limit is not None:
            return limit
        return (len(gpu_lease.visible()) or least) * self.config.gpu_slots


def _refuse_folder_without_room() -> None:
    """Raise InputError if Snakemake cannot write here, which it would report by tracebacks."""
    there = [each for each in map(Path, (".snakemake", ".snakemake/locks")) if each.exists()]
    for folder in there or [Path()]:
        try:
            with TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
                file.flush()
        except OSError as error:
            raise InputError(
                f"{folder.resolve()} cannot be written ({error.strerror}): Snakemake keeps its "
                f"locks and logs there, which need {ROOM // 1000} kB"
            ) from error


def _refuse_unwritable(folder: Path, where: str) -> None:
    """Raise InputError if no file can be written in ``folder``, or the folder cannot be made."""
    place = next(each for each in (folder, *folder.absolute().parents) if is_there(each))
    try:
        with TemporaryFile(dir=place) as file:
            file.write(b" ")
            file.flush()
    except OSError as error:
        what = "be written" if place == folder else f"be made in {place}"
        raise InputError(
            f"{where}: {folder.resolve()} cannot {what} ({error.strerror}): change its "
            "permissions, free some space, or name another folder"
        ) from error
