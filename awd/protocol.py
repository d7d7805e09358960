"""How a perplexity was measured: what must agree before two of them may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from awd.corpora.builtin import END

if TYPE_CHECKING:
    import pandas as pd

    from awd.corpora import Corpus
    from awd.methods import Method
    from awd.spec import RunSpec

LEFT, AROUND = "left", "left and right"
CONTEXTS = {"next-word": LEFT, "both-directions": LEFT, "cloze": AROUND}
"""Per objective, what a word is predicted from; a second direction's numbers stand apart."""
READ_AT_ONCE = 2_000
"""Tokens that are read at once in evaluation: as many as still make it faster."""


def reading_length(spec: RunSpec, streams: int) -> int:
    """Time steps of a chunk in which text is read in evaluation, as ``streams`` parallel ones.

    It has no part in the result but for models that look ahead within a chunk. They are given as
    many words as in training.
    """
    if spec.bidirectional or spec.objective == "cloze":
        return spec.bptt
    return max(spec.bptt, READ_AT_ONCE // streams)


def make_protocol(spec: RunSpec, corpus: Corpus, method: Method) -> dict:
    """The protocol of an evaluation, as its record holds it.

    ``chunk`` is how many tokens the model is given at a time; it limits how much right context
    there is, and is without effect on a model that has none.
    """
    return {
        "mode": "stream",
        "context": CONTEXTS[spec.objective],
        "batch_size": 1,
        "carried_state": True,
        "eos_counted": END in corpus.vocabulary,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(getattr(corpus, split)) - 1 for split in ("valid", "test")},
        "chunk": reading_length(spec, 1),
        **method.settings,
    }


def describe(record: Mapping) -> str:
    """The part of an evaluation record's protocol that comparisons depend on, as words.

    Two perplexities may be compared if these words are the same. What older records do not say
    is what was always so when they were written; what cannot be known is left out.
    """
    protocol = record.get("protocol") or {}
    splits, corpus = record.get("splits") or {}, record.get("corpus") or {}
    tokens = protocol.get("tokens") or {
        split: values["tokens"]
        for split, values in splits.items()
        if split in ("valid", "test") and isinstance(values, Mapping) and "tokens" in values
    }
    vocabulary = protocol.get("vocabulary", corpus.get("vocabulary"))
    context = protocol.get("context", LEFT)
    words = [
        f"{protocol.get('mode', 'stream')} of {protocol.get('batch_size', 1)}",
        f"{context} context" + " (pseudo-perplexity)" * (context == AROUND),
        "state carried" if protocol.get("carried_state", True) else "fresh state per sentence",
        f"{END} counted" if protocol.get("eos_counted", True) else f"no {END} counted",
        *([f"{vocabulary} word types"] if vocabulary else []),
        *(f"{count} {split} tokens" for split, count in tokens.items()),
    ]
    return ", ".join(words)


def measured_otherwise(suite: Mapping, records: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Which rows of a suite cannot be compared with the others, and what differs, as words.

    Keys are (row, corpus). ``suite`` is an entry of the plan's ``suites``, ``records`` the frame of
    awd.records, whose column ``protocol`` may be missing. What the row's protocol has that the base
    row's has not is what differs; while the base row has no result, the first row with one stands
    in for it. A protocol that is not told is as usual.
    """
    if "protocol" not in records:
        return {}
    wanted = {item["run"] for row in suite["rows"] for item in row["runs"]}
    lines = records[records["run"].isin(wanted)]
    keys = lines[["run", "stage", "method"]].itertuples(index=False, name=None)
    told = dict(zip(keys, lines["protocol"], strict=True))
    parts: dict[tuple[str, str], list[str]] = {}
    for row in suite["rows"]:
        found = [(item["run"], row["stage"], row["method"]) for item in row["runs"]]
        if any(key in told for key in found):
            words = [told[key] for key in found if isinstance(told.get(key), str)]
            parts[row["row"], row["corpus"]] = [part for w in words for part in w.split(", ")]
    usual: dict[str, set[str]] = {}
    for row, corpus in sorted(parts, key=lambda key: key[0] != suite.get("base")):
        usual.setdefault(corpus, set(parts[row, corpus]))
    apart = {
        key: ", ".join(dict.fromkeys(part for part in mine if part not in usual[key[1]]))
        for key, mine in parts.items()
        if usual[key[1]]
    }
    return {key: words for key, words in apart.items() if words}
