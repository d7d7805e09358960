"""Geometry of what the page draws itself: learning curves that can be read, intervals in cells."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from awd.report.figures.traces import ASTRAY, Trace, settled_top, traces

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40  # margins around the panel
MOST_LINES = 60  # more cannot be told apart
MOST_POINTS = 12_000  # of all lines of a chart, so that a page of a thousand runs stays small
TICKS = 6
ORDINARY = 4
"""Differences beyond this many times the median one leave the scale of the others."""
COLUMNS = {"valid_perplexity": "valid", "train_loss": "train", "learning_rate": "rate"}
"""What can be read of a curve, and its name in the page's script."""
EARLY = 3
"""A curve is seen from about this many times the median final perplexity on."""


class Axis(NamedTuple):
    """A scale from values to pixels; ``low`` lies at pixel ``start``, ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Pixel and text of some round values."""
        if self.logarithmic and self.high / self.low > 8:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            if sum(self.low <= value <= self.high for value in values) > TICKS + 2:
                values = [10.0**decade for decade in decades]
        else:
            locator = MaxNLocator(TICKS, integer=self.whole, steps=[1, 2, 5, 10])
            values = locator.tick_values(self.low, self.high)
        return [(self.place(v), f"{v:,g}") for v in values if self.low <= v <= self.high]


class Line(NamedTuple):
    """One training in a chart: the rows that share it, its path, and its values by epoch."""

    label: str
    also: list[str]
    strong: bool
    path: str
    marks: list[tuple[str, float, float]]  # (switch or diverged, x, y)
    last: float
    values: dict[str, list]


class Chart(NamedTuple):
    """Validation perplexity over epochs, a line per training of one corpus."""

    x: Axis
    y: Axis
    lines: list[Line]
    left_out: int
    boundary: float | None

    def data(self) -> dict:
        """What the page's script needs to name the point that is nearest."""
        return {
            "x": self.x._asdict(),
            "y": self.y._asdict(),
            "lines": [{"label": line.label, **line.values} for line in self.lines],
        }


def chart(suite: dict, corpus: str, curves: pd.DataFrame, records: pd.DataFrame) -> Chart | None:
    """The chart of a suite's trainings on a corpus, or None if nothing is recorded.

    ``curves`` and ``records`` are the frames of report.records. Lines are means over seeds, and go
    on through fine-tuning. Those not to be set against the others do not decide what is seen.
    """
    drawn = traces(suite, corpus, curves, records, join_stages=True)
    found = [(t, lines) for t in drawn if t.stages and len(lines := _recorded(t))]
    if not found:
        return None
    bases = [any(row["row"] == suite.get("base") for row in trace.rows) for trace, _ in found]
    kept = sorted(sorted(range(len(found)), key=lambda i: not bases[i])[:MOST_LINES])
    shown = [found[i] for i in kept]
    x = Axis(
        float(min(lines.index[0] for _, lines in shown)),
        float(max(lines.index[-1] for _, lines in shown)),
        LEFT,
        WIDTH - RIGHT,
        whole=True,
    )
    x = x._replace(low=min(x.low, x.high - 1))  # a single epoch has a place, too
    sound = [i for i in kept if not found[i][0].remark]
    y = _perplexities([found[i][1]["valid_perplexity"] for i in sound or kept])
    points = max(20, MOST_POINTS // len(shown))
    boundaries = [trace.boundary for trace, _ in shown if trace.boundary is not None]
    common = max(set(boundaries), key=boundaries.count) + 0.5 if boundaries else None
    return Chart(
        x,
        y,
        [_line(*found[i], x, y, points, bases[i]) for i in kept],
        len(found) - len(shown),
        common and x.place(common),
    )


def _recorded(trace: Trace) -> pd.DataFrame:
    """Means over seeds by epoch, where each seed has a perplexity; fine-tuning is counted on."""
    parts = []
    for stage, lines in trace.stages.items():
        seeds = lines["run"].nunique()
        lines = lines.set_index("epoch")[[column for column in COLUMNS if column in lines]]
        lines = lines[np.isfinite(lines["valid_perplexity"])]
        if seeds > 1:
            epochs = lines.groupby(level=0)
            lines = epochs.mean()[epochs.size() == seeds]
        if stage == "finetune":
            lines.index += trace.trained
        parts.append(lines)
    return pd.concat(parts)


def _perplexities(means: list[pd.Series]) -> Axis:
    """The vertical axis: from the lowest value up to where the curves have settled.

    Every curve is seen at its end, unless it went astray.
    """
    ends = [mean.iloc[-1] for mean in means]
    low = 0.97 * min(mean.min() for mean in means)
    settled = 1.05 * max(settled_top(mean) for mean in means)
    high = max(min(settled, EARLY * float(np.median(ends))), 1.05 * max(ends), 1.1 * low)
    high = max(min(high, math.exp(ASTRAY)), 1.1 * low)
    return Axis(float(low), float(high), HEIGHT - BOTTOM, TOP, bool(high / low > 1.6))


def _line(trace: Trace, lines: pd.DataFrame, x: Axis, y: Axis, points: int, strong: bool) -> Line:
    switch, perplexity = trace.switch, lines["valid_perplexity"]
    step = math.ceil(len(lines) / points)
    wanted = {*lines.index[::step], lines.index[-1], perplexity.idxmin(), switch}
    kept = lines[lines.index.isin(wanted)]
    epochs, values = kept.index.to_list(), kept["valid_perplexity"].to_list()
    places = [(x.place(e), y.place(value)) for e, value in zip(epochs, values, strict=True)]
    marks = []
    if switch is not None:
        at = float(np.interp(switch, lines.index, perplexity))
        marks.append(("switch", x.place(switch), y.place(at)))
    if trace.remark == "diverged":
        marks.append(("diverged", *places[-1]))
    label, *also = [row["label"] for row in trace.rows]
    return Line(
        label,
        also,
        strong,
        "M" + "L".join(f"{left:g} {top:g}" for left, top in places),
        marks,
        values[-1],
        {"epoch": epochs} | {name: _rounded(kept[c]) for c, name in COLUMNS.items() if c in kept},
    )


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


class Span(NamedTuple):
    """A difference and its interval on a common scale, in percent of the width."""

    dot: float
    left: float | None
    right: float | None
    beyond: str  # "left" or "right" if the difference is off the scale


class Spans(NamedTuple):
    """The spans of a table, by position, and where zero is."""

    zero: float
    spans: list[Span | None]


def spans(table: pd.DataFrame) -> Spans | None:
    """The differences of a table on one scale; None if there are none.

    Rows far from all others leave the scale, so that it serves the ordinary ones.
    """
    columns = ["delta_test", "delta_low", "delta_high"]
    values = [tuple(line) for line in table[columns].to_numpy(float)]
    sizes = [abs(delta) for delta, *_ in values if not math.isnan(delta)]
    if not sizes:
        return None
    limit = ORDINARY * (float(np.median(sizes)) or max(sizes))
    ends = [
        end
        for delta, *interval in values
        if abs(delta) <= limit
        for end in (delta, *interval)
        if not math.isnan(end)
    ]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.06 * (high - low or 1.0)
    axis = Axis(low - margin, high + margin, 0, 100)
    return Spans(axis.place(0), [_span(axis, *value) for value in values])


def _span(axis: Axis, delta: float, low: float, high: float) -> Span | None:
    if math.isnan(delta):
        return None
    if not axis.low <= delta <= axis.high:
        beyond = "left" if delta < axis.low else "right"
        return Span(2.0 if beyond == "left" else 98.0, None, None, beyond)
    if math.isnan(low):
        return Span(axis.place(delta), None, None, "")
    ends: Sequence[float] = [min(max(end, axis.low), axis.high) for end in (low, high)]
    return Span(axis.place(delta), *(axis.place(end) for end in ends), "")
