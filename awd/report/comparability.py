"""Which perplexities may be compared: those that were measured by the same protocol."""

from collections.abc import Mapping

import pandas as pd

from awd.corpora import END
from awd.runs.protocol import AROUND, LEFT


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
    report.records, whose column ``protocol`` may be missing. What the row's protocol has that the
    base row's has not is what differs; while the base row has no result, the first row with one
    stands in for it. A protocol that is not told is as usual.
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
