"""Show on the terminal what Snakemake is doing: a line per finished job, a bar per training.

Snakemake's own account of each job stays in its log file, and `snakemake --verbose` shows it.
"""

import atexit
import logging
import re
import shlex
import sys
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TaskID

from awd.errors import InputError
from awd.files import read_json
from awd.places import RESULTS
from awd.report.words import plural
from awd.runs.bars import ROOMY, bars
from awd.runs.progress import describe, duration, progress_file
from awd.vocabulary import COMBINED, Stage, Status

REPLACED = {
    "workflow_started",
    "job_info",
    "job_error",
    "job_finished",
    "progress",
    "shellcmd",
    "job_started",
}
"""Snakemake's events that `Narrator` shows in its own way."""
OMITTED = re.compile(
    "Select jobs to execute|Assuming unrestricted shared|Using shell|Provided |Rules claiming more"
    "|Conda environments: ignored|Terminating processes on user request"
    "|Removing output files of failed job|Exiting because a job execution failed"
    "|WorkflowError:\nAt least one job did not complete|Trying to restart job|Complete log"
    "|Restored previous version of|Cleaning up SLURM log files"
    "|No SLURM account given|No account was given|Unable to guess SLURM account"
    "|Shutting down, this might take|(RuleException:\n)?CalledProcessError in file"
)
"""Snakemake's messages that add nothing to those of `Narrator`."""
RESTART = re.compile(r"Trying to restart job (\d+)")
ADDED = re.compile(
    "SLURM sbatch failed. The error message was '"
    "| ?Detailed failure reason unavailable.*| ?For further error details.*"
)
"""What executors add to the reason of a failure."""
MISSING = "(missing: the job could not start)"
EMPTY = "(empty: the job was killed, or could not start)"
TAIL = 3
"""Lines of a failed job's log that are shown."""
STOPPING = "Stopping: each training saves its checkpoint."
PAUSE = 0.5
"""Seconds between two looks at the progress of trainings."""


@dataclass
class Job:
    """A job as Snakemake announces it."""

    rule: str
    wildcards: dict[str, str]
    log: list[str]
    output: list[str]

    def name(self) -> str:
        """Return the rule, and its wildcards or else its output."""
        words = " ".join(map(str, self.wildcards.values())) or " ".join(self.output[:1])
        return f"{self.rule} {words}"

    def stage(self) -> str | None:
        """Return the stage that the job trains; None if it trains nothing."""
        return self.rule if self.rule in list(Stage) else None


class Narrator(logging.Handler):
    """A handler of Snakemake's log that prints lines, and bars if the terminal can show them.

    Args:
        console: where to print.
        others: handlers that write to the same terminal.
        results: the folder of results.
        checkpoints: the folder of checkpoints and progress files; usually one in ``results``.
    """

    def __init__(
        self,
        console: Console,
        others: Iterable[Any] = (),
        results: Path = RESULTS,
        checkpoints: Path | None = None,
    ):
        super().__init__()
        self.console, self.others, self.results = console, list(others), results
        self.checkpoints = checkpoints or results / "checkpoints"
        self.jobs: dict[int, Job] = {}
        self.running: dict[int, TaskID | None] = {}
        self.finished: list[int] = []
        self.failed: dict[int, str] = {}
        self.done = self.total = 0
        self.interrupted = False
        self.bars = bars(console)
        self.changing = threading.Lock()  # of a bar, by Snakemake's messages and the watcher
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to show bars, on a terminal only."""
        if self.console.is_terminal and not self.console.quiet:
            self.bars.start()  # replaces sys.stderr by a stream that writes above the bars
            self._redirect()
            self.watcher.start()
            atexit.register(self.stop)  # also where Snakemake fails

    def stop(self) -> None:
        """Remove the bars."""
        if self.watcher.is_alive():
            self.ended.set()
            self.watcher.join()
            self.bars.stop()
            self._redirect()

    def _redirect(self) -> None:
        for handler in self.others:
            handler.setStream(sys.stderr)

    def fail(self) -> None:
        """Remove the bars and print how the workflow ended before its end."""
        self.stop()
        print(self.explain_failure(["snakemake", *sys.argv[1:]]), file=sys.stderr)

    def emit(self, record: Any) -> None:
        """Take one message of Snakemake's log, which adds attributes to a logging.LogRecord."""
        event = _event(record)
        if event == "job_info":
            log, output = (list(getattr(record, name) or []) for name in ("log", "output"))
            job = Job(record.rule_name, dict(record.wildcards or {}), log, output)
            self.jobs[record.jobid] = job
            self.running[record.jobid] = None
        elif event == "job_finished":
            self._remove(record.job_id)
            self.failed.pop(record.job_id, None)  # it was tried again
            self.finished.append(record.job_id)
        elif event == "job_error":
            self._remove(record.jobid)
            self.failed[record.jobid] = _reason(record)
        elif event == "run_info":
            self.total = record.stats["total"]
        elif event == "progress":
            self.done, self.total = record.done, record.total
            for number in self.finished:
                if (found := self.jobs.get(number)) and found.output:
                    self._print(f"{self.done}/{self.total} {found.name()}{self._result(found)}")
            self.finished.clear()
        elif restart := RESTART.match(record.getMessage()):
            self._restart(int(restart.group(1)))
        elif record.getMessage().startswith("Terminating processes on user request"):
            self.interrupted = True
            self._print(STOPPING)

    def _restart(self, number: int) -> None:
        """Print that a job that has failed is tried again, and why it has failed."""
        job = self.jobs[number]
        reason = self.failed.pop(number, "")
        last = [_tail(Path(name))[-1] for name in job.log]
        if reason:  # says more than that there is no log
            last = [line for line in last if line not in (EMPTY, MISSING)]
        self._print(f"again: {job.name()}: {'; '.join(filter(None, [reason, *last]))}")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _result(self, job: Job) -> str:
        """Describe what a training or an evaluation has found; nothing for other jobs."""
        wildcards = job.wildcards
        try:
            if stage := job.stage():
                record = read_json(self.results / "runs" / wildcards["run"] / f"{stage}.json")
                result = record["result"]
                epochs = result["epochs"]
                words = [plural(epochs, "epoch"), duration(record["seconds"])]
                if record["status"] != Status.DONE:
                    words.append(f"{record['status']}: {record['reason']}")
                elif result["valid_perplexity"]:
                    words.append(f"valid perplexity {result['valid_perplexity']:,.2f}")
            elif job.rule == "evaluate":
                name = f"{wildcards['stage']}.{wildcards['method']}.json"
                record = read_json(self.results / "runs" / wildcards["run"] / name)
                if record["status"] == Status.DONE:
                    words = [f"test perplexity {record['splits']['test']['perplexity']:,.2f}"]
                else:
                    words = [record["status"]]
            else:
                return ""
        except (InputError, KeyError, TypeError):  # not there yet on a network file system
            return ""
        return ": " + ", ".join(words)

    def _remove(self, number: int) -> None:
        with self.changing:
            task = self.running.pop(number, None)
            if task is not None:
                self.bars.remove_task(task)

    def _watch(self) -> None:
        while not self.ended.wait(PAUSE):
            self.look()

    def look(self) -> None:
        """Update the bar of each training that runs."""
        for number in list(self.running):
            job = self.jobs[number]
            if (stage := job.stage()) is None:
                continue
            path = progress_file(self.checkpoints, job.wildcards["run"], stage)
            try:
                state = read_json(path)
                words = describe(state, speed=self.console.width >= ROOMY)
            except (InputError, KeyError):  # it has not begun
                continue
            with self.changing, suppress(KeyError):  # finished in the meantime
                task = self.running[number]
                if task is None:
                    task = self.bars.add_task(job.name(), total=1.0, words="")
                    self.running[number] = task
                self.bars.update(task, completed=state["fraction"], words=words)

    def _is_saved(self, job: Job) -> bool:
        if (stage := job.stage()) is None:
            return False
        return (self.checkpoints / job.wildcards["run"] / f"{stage}.checkpoint").exists()

    def explain_failure(self, command: list[str]) -> str:
        """Describe what was saved or what failed, and what to do.

        Args:
            command: the words that started Snakemake.
        """
        again = shlex.join(command)
        if self.interrupted:
            cut_short = sum(self._is_saved(self.jobs[number]) for number in self.failed)
            return (
                f"Stopped. {self.done} of {self.total or len(self.jobs)} steps are done; "
                f"{plural(cut_short, 'training')} ended early and saved a checkpoint. "
                f"To continue, run the same command: {again}"
            )
        lines = []
        for number, reason in self.failed.items():
            job = self.jobs[number]
            lines.append(f"Failed: {job.name()}{reason and f': {reason}'}")
            for name in job.log:
                lines.append(f"  the end of {name}:")
                lines += [f"    {line}" for line in _tail(Path(name))]
        done = f"{self.done} of {self.total} steps are" if self.total else "No step is"
        lines += [
            f"{done} done. To see each run: python -m awd status",
            f"To try again: {again}",
        ]
        return "\n".join(lines)


def _event(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return "" if event is None else str(getattr(event, "value", event))


def _reason(record: logging.LogRecord) -> str:
    """Return why an executor takes a job for failed; nothing if it gives no reason."""
    first, *_ = str(getattr(record, "rule_msg", None) or "").strip().split("\n")
    return ADDED.sub("", first)


def _tail(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return [MISSING]
    except OSError as error:
        return [f"({error.strerror})"]
    return lines[-TAIL:] or [EMPTY]


def narrate(workflow, results: Path, checkpoints: Path) -> Narrator:
    """Return a Narrator of the jobs of Snakemake's ``workflow``; of the folders see `Narrator`.

    Where people ask for Snakemake's own account (dry runs, --verbose, --printshellcmds, --quiet),
    the narrator only notes which jobs fail.
    """
    settings = workflow.output_settings
    asked = settings.verbose or settings.printshellcmds or settings.quiet
    logger = logging.getLogger("snakemake.logging")
    shown = [each for each in logger.handlers if each.name == "DefaultStreamHandler"]
    narrator = Narrator(Console(stderr=True), shown, results, checkpoints)
    own = workflow.modifier.is_main_snakefile()  # not a module of another workflow
    if own and workflow.is_main_process and not settings.dryrun:
        logger.addHandler(narrator)
        if asked:
            narrator.console.quiet = True
        else:
            for handler in shown:
                # Only once the workflow runs is it known whether this is a dry run.
                handler.addFilter(lambda record: workflow.dryrun or _is_shown(record))
    return narrator


def where_to_begin(folder: Path, suites: Collection[str]) -> str:
    """Say what to read first of the results in ``folder``, after a workflow of ``suites``."""
    table = next(iter(suites)) if len(suites) == 1 else COMBINED
    return f"Begin with {folder}/report.html, or {folder}/tables/{table}.md"


def _is_shown(record: logging.LogRecord) -> bool:
    return _event(record) not in REPLACED and not OMITTED.match(record.getMessage())
