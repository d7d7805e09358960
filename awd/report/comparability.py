"""Which perplexities may be compared: those that were measured by the same protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from awd.report.evaluations import by_seed, runs_of
from awd.vocabulary import HELD_OUT, Status

if TYPE_CHECKING:  # words are of use without it
    import pandas as pd


@dataclass(frozen=True)
class Protocol:
    """How an evaluation measured; perplexities of equal protocols may be compared.

    What an evaluation's record says beyond this (how many tokens were read at a time, the settings
    of its method) does not limit comparisons.
    """

    mode: str
    context: str
    batch_size: int | None
    carried_state: bool
    eos_counted: bool
    vocabulary: int | None
    valid_tokens: int | None
    test_tokens: int | None

    @classmethod
    def from_record(cls, protocol: Mapping) -> Protocol:
        """Take the protocol of an evaluation record; raises KeyError or TypeError if it is none."""
        tokens = protocol["tokens"]
        counts = {f"{split}_tokens": tokens[split] for split in HELD_OUT}
        return cls.from_dict({**protocol, **counts})

    @classmethod
    def from_dict(cls, values: Mapping) -> Protocol:
        """Take the fields from ``values``, the result of `as_dict` or more."""
        found = {field.name: values[field.name] for field in fields(cls)}
        for name, value in found.items():
            if value is not None and type(value) is not KINDS[name]:
                raise TypeError(f"'{name}' is {value!r}")
        return cls(**found)

    def as_dict(self) -> dict:
        """Return the fields by name."""
        return asdict(self)

    def difference(self, others: Protocol | tuple[Protocol, ...]) -> tuple[tuple[str, object], ...]:
        """Return the fields, with this protocol's values, that none of ``others`` has.

        A value that is not known (None) differs from nothing.
        """
        others = (others,) if isinstance(others, Protocol) else others
        found = []
        for name, value in self.as_dict().items():
            known = {getattr(other, name) for other in others}
            if value is not None and None not in known and value not in known:
                found.append((name, value))
        return tuple(found)


KINDS = {
    **dict.fromkeys(("mode", "context"), str),
    **dict.fromkeys(("carried_state", "eos_counted"), bool),
    **dict.fromkeys(("batch_size", "vocabulary", "valid_tokens", "test_tokens"), int),
}


class Exclusion(StrEnum):
    """Why a result is not compared with others."""

    DIVERGED = Status.DIVERGED
    HOPELESS = Status.HOPELESS
    LEAKS = Status.LEAKS
    INCOMPARABLE = "incomparable"  # measured by another protocol


def measured_differently(
    suite: Mapping, records: pd.DataFrame
) -> dict[tuple[str, str], tuple[tuple[str, object], ...]]:
    """Find the rows of a suite that cannot be compared with the others, and what differs.

    Keys are (row, corpus); values as of `Protocol.difference`, against the base row's protocol.
    While the base row has no result, the first row with one takes its place.

    Args:
        suite: an entry of the plan's ``suites``.
        records: the frame of report.records.
    """
    lines = records[records["run"].isin(runs_of(suite))]
    keys = lines[["run", "stage", "method"]].itertuples(index=False, name=None)
    measured = dict(zip(keys, lines["protocol"], strict=True))
    protocols: dict[tuple[str, str], tuple[Protocol, ...]] = {}
    for row in suite["rows"]:
        found = dict.fromkeys(filter(None, by_seed(row, measured).values()))
        if found:
            protocols[row["row"], row["corpus"]] = tuple(found)
    usual: dict[str, tuple[Protocol, ...]] = {}
    for row, corpus in sorted(protocols, key=lambda key: key[0] != suite.get("base")):
        usual.setdefault(corpus, protocols[row, corpus])
    differences = {}
    for (row, corpus), own in protocols.items():
        parts = [part for each in own for part in each.difference(usual[corpus])]
        if parts:
            differences[row, corpus] = tuple(dict.fromkeys(parts))
    return differences
