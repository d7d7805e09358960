"""What there is to remark about a row of a table: facts, put into words by report.words."""

from dataclasses import dataclass
from typing import Literal

from awd.vocabulary import LeftOut, Status

Whose = Literal["row", "base row", "pool", "pool of the base row"]


@dataclass(frozen=True)
class Note:
    """The suite's own ``text`` about the row."""

    text: str


@dataclass(frozen=True)
class SeedsMissing:
    """``there`` of the ``planned`` seeds of a partial row have a result, or of a missing one 0."""

    there: int
    planned: int


@dataclass(frozen=True)
class Ended:
    """``seeds`` ended with ``status``, for the ``reason`` that their records give.

    ``seeds`` is empty if the row has only one; ``epochs`` is after how many of them a hopeless
    training ended.
    """

    status: Status
    reason: str | None
    seeds: tuple[int, ...]
    epochs: int | None = None


@dataclass(frozen=True)
class Backward:
    """The perplexities of a second, backward direction, for which there is no column."""

    valid: float
    test: float


@dataclass(frozen=True)
class NeverAveraged:
    """NT-ASGD did not start to average in ``epochs`` epochs with ``seeds`` of the ``finished``."""

    epochs: int
    seeds: int
    finished: int


@dataclass(frozen=True)
class Incomparable:
    """The protocol differs from the base row's in these fields and values."""

    differences: tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class AsFrequencies:
    """The row predicts the test text no better than word frequencies do, of this ``perplexity``."""

    perplexity: float


@dataclass(frozen=True)
class NoInterval:
    """The difference has no interval, because the noise of ``whose`` trainings is unknown.

    A row or base row has one training, left out of the pool for the reason in ``why``. The pool has
    no row with several trainings: those that there are were left out for the reasons in ``why``.
    """

    whose: Whose = "pool"
    why: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class NoPublishedInterval:
    """The difference from the published number has no interval: what it ``lacks``."""

    lacks: NoInterval


@dataclass(frozen=True)
class Ahead:
    """The row is the best one. ``second`` is the label of the next, with its difference from it.

    ``beyond``: whether the difference is beyond noise.
    """

    second: str
    difference: float
    low: float
    high: float
    p: float
    beyond: bool


@dataclass(frozen=True)
class OwnNoise:
    """The row has several trainings, which do not share the noise of other rows."""

    why: LeftOut


@dataclass(frozen=True)
class OtherInterval:
    """The interval is of another ``kind`` (report.stats) than the caption says."""

    kind: str


@dataclass(frozen=True)
class AtEpoch:
    """A training has fewer epochs than the published one, which has ``epochs``.

    ``perplexity`` and ``published`` are the validation perplexities at ``epoch``.
    """

    epoch: int
    epochs: int
    perplexity: float
    published: float

    @property
    def deviation(self) -> float:
        """Our perplexity over the published one, minus 1."""
        return self.perplexity / self.published - 1


Remark = (
    Note
    | AtEpoch
    | SeedsMissing
    | Ended
    | Backward
    | NeverAveraged
    | Incomparable
    | AsFrequencies
    | NoInterval
    | NoPublishedInterval
    | OwnNoise
    | Ahead
    | OtherInterval
)
