"""Differences and their intervals as small pictures in a table, all on one scale."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

FAR = 4
"""Differences beyond this many times the median one leave the scale of the others."""
MARGIN = 0.06  # of the scale, at both ends


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

    @property
    def have_intervals(self) -> bool:
        """Whether a difference has an interval: with one training of each row, none has."""
        return any(span is not None and span.left is not None for span in self.spans)


def spans(table: pd.DataFrame) -> Spans | None:
    """Place the differences of a table on one scale; None if there are none.

    Rows far from all others leave the scale, so that it serves the ordinary ones.
    """
    columns = ["delta_test", "delta_low", "delta_high"]
    values = [tuple(line) for line in table[columns].to_numpy(float)]
    sizes = [abs(delta) for delta, *_ in values if not math.isnan(delta)]
    if not sizes:
        return None
    limit = FAR * (float(np.median(sizes)) or max(sizes))
    ends = [
        end
        for delta, *interval in values
        if abs(delta) <= limit
        for end in (delta, *interval)
        if not math.isnan(end)
    ]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = MARGIN * (high - low or 1.0)
    scale = Scale(low - margin, high + margin)
    return Spans(scale.place(0), [_span(scale, *value) for value in values])


class Scale(NamedTuple):
    """From ``low`` to ``high``, in percent of the width."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a value lies, to a tenth; one beyond the scale lies at its end."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 1)


def _span(scale: Scale, delta: float, low: float, high: float) -> Span | None:
    if math.isnan(delta):
        return None
    if not scale.low <= delta <= scale.high:
        left = delta < scale.low
        return Span(2.0 if left else 98.0, None, None, "left" if left else "right")
    if math.isnan(low):
        return Span(scale.place(delta), None, None, "")
    return Span(scale.place(delta), scale.place(low), scale.place(high), "")
