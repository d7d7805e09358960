"""What a figure draws of a row: its epochs, both stages end to end, seed by seed."""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from awd.report.comparability import Exclusion, measured_differently
from awd.study.methods import parse_method
from awd.vocabulary import FAILED, Event, Stage, Status, stages_to

ASTRAY = 10.5  # nats; a model that knows only the size of the largest vocabulary is below it
LOWERED = -0.04  # relative change of a learning rate


@dataclass(frozen=True, eq=False)
class Trace:
    """The recorded epochs that ``rows`` share.

    ``stages`` has, per stage with any epoch, the lines of all seeds in the frame ``curves`` of
    report.records; ``exclusion`` is why it is not compared with the others, if so: diverged or
    hopeless if every seed is, leaks if any model reads what it predicts, incomparable if its
    perplexity is measured by another protocol.
    """

    rows: list[dict]
    stages: dict[Stage, pd.DataFrame]
    exclusion: Exclusion | None
    _tables: dict[str, list[pd.DataFrame]] = field(default_factory=dict, init=False, repr=False)
    _means: dict[str, pd.Series] = field(default_factory=dict, init=False, repr=False)

    @property
    def label(self) -> str:
        """The name of the first of its rows."""
        return self.rows[0]["label"]

    @property
    def trained(self) -> int:
        """The last epoch of training; fine-tuning is counted on from there."""
        return int(self.stages[Stage.TRAIN]["epoch"].max()) if Stage.TRAIN in self.stages else 0

    @property
    def boundary(self) -> int | None:
        """The epoch after which fine-tuning begins, if it has."""
        return self.trained if Stage.FINETUNE in self.stages else None

    @property
    def averaging_starts(self) -> float | None:
        """The epoch at which averaging starts: the median of the seeds that do."""
        if Stage.TRAIN not in self.stages:
            return None
        lines = self.stages[Stage.TRAIN]
        epochs = lines["epoch"][lines["event"].str.startswith(Event.AVERAGING_STARTS)]
        return float(epochs.median()) if len(epochs) else None

    @property
    def lowered(self) -> list[int]:
        """The epochs with a learning rate clearly below that of the epoch before."""
        rates = self.mean("learning_rate")
        return [] if rates.empty else list(rates.index[rates.pct_change() < LOWERED])

    def seeds(self, column: str) -> list[pd.DataFrame]:
        """A frame per stage, epochs x seeds; epochs of fine-tuning are counted on."""
        if column not in self._tables:
            tables = self._tables[column] = []
            for stage, lines in self.stages.items():
                if column in lines:
                    table = lines.pivot(index="epoch", columns="run", values=column)
                    table.index += self.trained if stage == Stage.FINETUNE else 0
                    tables.append(table)
        return self._tables[column]

    def tidy(self, column: str) -> pd.DataFrame:
        """A frame with a line per epoch and seed: epoch, value, and line (the run)."""
        tables = self.seeds(column)
        columns = ["epoch", "line", "value"]
        if not tables:
            return pd.DataFrame(columns=columns)
        parts = [table.melt(var_name="line", ignore_index=False).reset_index() for table in tables]
        return pd.concat(parts, ignore_index=True)[columns].dropna()

    def mean(self, column: str) -> pd.Series:
        """The mean over seeds by epoch, of epochs that every seed has.

        A nan stands where epochs are missing between the stages, so that no line crosses them.
        """
        if column in self._means:
            return self._means[column]
        parts: list[pd.Series] = []
        for table in self.seeds(column):
            mean = table.mean(axis=1, skipna=False).dropna()
            if parts and len(parts[-1]) and len(mean) and mean.index[0] > parts[-1].index[-1] + 1:
                parts.append(pd.Series(math.nan, index=[parts[-1].index[-1]]))
            parts.append(mean)
        parts = [part for part in parts if len(part)]
        self._means[column] = pd.concat(parts) if parts else pd.Series(dtype=float)
        return self._means[column]


def traces(
    suite: dict,
    corpus: str,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    join_stages: bool = False,
) -> list[Trace]:
    """The traces of a suite's rows on a corpus, in their order, each once.

    Rows that are evaluated differently from the same weights share one; with ``join_stages`` so
    do those of a training and of its fine-tuning. A trace may be empty: not recorded yet. A row
    that combines several runs (an ensemble) has none. Seeds that diverged or are hopeless are left
    out unless all are: they would end the mean of the others.
    """
    shared: dict[tuple, list[dict]] = {}
    for row in suite["rows"]:
        if row["corpus"] == corpus and parse_method(row["method"]).kind != "ensemble":
            runs = tuple(item["run"] for item in row["runs"])
            shared.setdefault((runs, None if join_stages else row["stage"]), []).append(row)
    places = curves.groupby(["run", "stage"], sort=False).indices
    ended = {status: set(records.loc[records["status"] == status, "run"]) for status in FAILED}
    failed = set().union(*ended.values())
    leaking = set(records.loc[records["status"] == Status.LEAKS, "run"])
    differing = measured_differently(suite, records)
    found = []
    for (runs, _), rows in shared.items():
        lasting = [run for run in runs if run not in failed] or list(runs)
        last = max((row["stage"] for row in rows), key=list(Stage).index)
        recorded = {}
        for stage in stages_to(last):
            lines = [places[run, stage] for run in lasting if (run, stage) in places]
            if not lines:
                break
            recorded[stage] = curves.take(np.concatenate(lines))
        exclusion = None
        if failed >= set(runs):
            exclusion = Exclusion(next(each for each in FAILED if ended[each] & set(runs)))
        elif leaking & set(runs):
            exclusion = Exclusion.LEAKS
        elif any((row["row"], corpus) in differing for row in rows):
            exclusion = Exclusion.INCOMPARABLE
        found.append(Trace(rows, recorded, exclusion))
    return found


def corpora(suite: dict) -> list[str]:
    """The corpora of a suite's rows, in their order."""
    return list(dict.fromkeys(row["corpus"] for row in suite["rows"]))


def settled_top(mean: pd.Series) -> float:
    """The highest value to show of a curve: its first, steep epochs leave the panel."""
    first, last = mean.index[0], mean.index[-1]
    settled = max(2, 0.04 * last) if last > 4 else first
    early = np.interp(settled, mean.index, mean)
    return max(early, mean.iloc[-1], mean[mean.index >= settled].quantile(0.99))
