"""Learning curves as the event files that TensorBoard shows."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pandas as pd

from awd.errors import InputError
from awd.files import new_folder
from awd.report.build import choose, gather, read_plan
from awd.report.evaluations import runs_of
from awd.vocabulary import Stage

TAGS = {
    "train_loss": "loss/train",
    "valid_loss": "loss/valid",
    "valid_perplexity": "perplexity/valid",
    "learning_rate": "learning rate",
    "tokens_per_second": "tokens per second",
}
"""Column of a learning curve -> the name of its chart."""


def write_logs(
    results: Path, scale: str, destination: Path, suites: Collection[str] | None = None
) -> list[Path]:
    """Write a folder of event files for each run of a scale; return the folders.

    A run's steps are its epochs; those of fine-tuning come after those of training. A value has the
    time at which its epoch would have ended in a training without a break.

    Raises InputError if tensorboard is not installed, if there is no curve, or if ``destination``
    has files: TensorBoard would show old events beside new ones. On any error nothing is written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "tensorboard is not installed; install it with pip install tensorboard"
        ) from error
    plan = read_plan(results, scale)
    names = set().union(*map(runs_of, choose(plan, suites)))
    records, curves, _ = gather(results, scale, plan)
    started = {
        (run, stage): datetime.fromisoformat(time).timestamp()
        for run, stage, time in records[["run", "stage", "started"]]
        .dropna()
        .itertuples(index=False)
    }
    wanted = curves[curves["run"].isin(names)]
    if wanted.empty:
        raise InputError(f"{results / scale} has no learning curve of these studies yet")
    with new_folder(destination) as made, _quiet_threads():
        for run, lines in wanted.groupby("run", sort=False):
            writer = SummaryWriter(str(made / str(run)))
            last = 0
            for stage in Stage:
                part = lines[lines["stage"] == stage].sort_values("epoch")
                times = part["seconds"].cumsum() + started.get((run, stage), 0.0)
                for column, tag in TAGS.items():
                    for epoch, time, value in zip(part["epoch"], times, part[column], strict=True):
                        if pd.notna(value):
                            writer.add_scalar(tag, value, last + epoch, walltime=time)
                last += int(part["epoch"].max()) if len(part) else 0
            writer.close()
    return [destination / str(run) for run in wanted["run"].unique()]


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Keep the tracebacks of other threads from the terminal.

    TensorBoard writes in a thread of its own; its error, as of a full disk, is raised here, too.
    """
    before = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        yield
    finally:
        threading.excepthook = before
