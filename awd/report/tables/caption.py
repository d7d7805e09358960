"""The caption of a table: sentences that say how to read it."""

import math
from collections import Counter
from typing import NamedTuple

from awd.corpora.counts import SHORTEST, notable_repeats
from awd.report import words
from awd.report.remarks import NoInterval
from awd.report.tables.build import order_agreement, published_columns
from awd.report.words import corpus_name
from awd.vocabulary import Status


class Facts(NamedTuple):
    """What a caption needs beside frame and suite."""

    scale: str
    kinds: list[str]  # of intervals, the caption's first
    bold: str  # of which rows the best value is bold; empty if none is
    delta: bool  # whether differences are shown
    holm: bool  # whether corrected p values are
    published: bool  # whether published values are
    apart: bool  # whether differences from published values are
    spread: bool  # whether intervals of these differences are
    unknown: NoInterval | None  # why no row has an interval, if that is the same for all


def caption(lines: list[dict], suite: dict, facts: Facts) -> str:
    """Return the caption of a suite's table, or of the combined one.

    ``lines`` are those of the table's frame, as mappings.
    """
    several, parts = "parts" in suite, suite.get("parts", [suite])
    corpora = " and ".join(
        corpus_name(corpus) for corpus in dict.fromkeys(line["corpus"] for line in lines)
    )
    seeds = words.span(len(row["runs"]) for part in parts for row in part["rows"])
    sentences = [
        f"Scale {facts.scale}; {corpora}; {seeds} {'seed' if seeds == '1' else 'seeds'}.",
        "Perplexity on validation and test text, lower is better.",
    ]
    sentences += [*words.training_texts(parts), *_unseen(parts), *_repeated(parts)]
    counts = Counter(line["status"] for line in lines)
    lacking = [
        f"{counts[state]} {state}" for state in (Status.MISSING, Status.PARTIAL) if state in counts
    ]
    if lacking:
        sentences.append(f"Not complete: of {len(lines)} rows, {' and '.join(lacking)}.")
    if any(_known(lines, column) for column in ("valid_sd", "test_sd")):
        sentences.append("± is the standard deviation over seeds.")
    if facts.delta and _known(lines, "delta_test"):
        base = "the base row of the suite"
        if not several:
            rows = suite.get("all_rows", suite["rows"])  # a writer's choice may lack the base row
            label = next(row["label"] for row in rows if row["row"] == suite["base"])
            base = f"“{label}”"
        how = "without an interval for the reasons in the footnotes"
        if facts.unknown:
            how = words.remark(facts.unknown)
        if facts.kinds:
            how = f"with its {words.heading('interval')} {words.interval(facts.kinds[0])}"
        sentences.append(f"Δ is the difference in test perplexity from {base}, {how}.")
    if facts.apart:
        sentences.append(words.published_difference(with_interval=facts.spread))
    with_interval = facts.delta and facts.kinds and _known(lines, "delta_test")
    if (with_interval or facts.spread) and (trainings := _noise(lines)):
        sentences.append(words.noise_source(trainings))
    if facts.holm:
        sentences.append("p (Holm) is corrected for the number of rows compared on a corpus.")
    if facts.bold:
        sentences.append(words.bold(facts.bold))
    if Status.LEAKS in counts:
        sentences.append("Struck through: the model reads the words that it predicts.")
    if facts.published and any(published_columns(row) for part in parts for row in part["rows"]):
        sentences += _published(lines, suite, facts.scale)
    return " ".join(sentences)


def _known(lines: list[dict], column: str) -> bool:
    return not all(math.isnan(line[column]) for line in lines)


def _noise(lines: list[dict]) -> dict[tuple[str, int], tuple[int, int]]:
    """How many trainings the noise is from, and its degrees of freedom, by pool (report.noise)."""
    return {
        (line["corpus"], line["train_tokens"]): (line["noise_trainings"], int(freedom))
        for line in lines
        if not math.isnan(freedom := line["noise_freedom"])
    }


def _unseen(parts: list[dict]) -> list[str]:
    """Which corpora have words that train does not have, which change perplexities."""
    return [
        f"Of the words of {corpus_name(corpus)}, {each.get('valid', 0):.1%} (valid) and "
        f"{each.get('test', 0):.1%} (test) never occur in train, which changes every perplexity."
        for corpus, each in _shares(parts, "unseen").items()
        if any(each.values())
    ]


def _repeated(parts: list[dict]) -> list[str]:
    """Which corpora share lines with their train, since they make perplexities low."""
    return [
        f"Of the lines of {corpus_name(corpus)} with {SHORTEST} words or more, "
        f"{' and '.join(notable)} also stand in train, which lowers every perplexity."
        for corpus, each in _shares(parts, "repeated_lines").items()
        if (notable := notable_repeats(each))
    ]


def _shares(parts: list[dict], key: str) -> dict[str, dict[str, float]]:
    """Corpus -> split -> the share that ``parts`` have under ``key``; see `build.text_shares`."""
    return {corpus: each for part in parts for corpus, each in part.get(key, {}).items()}


def _published(lines: list[dict], suite: dict, scale: str) -> list[str]:
    """Whose the published numbers are, what they may be used for, and how the order compares."""
    several, parts = "parts" in suite, suite.get("parts", [suite])
    citation = (suite.get("paper") or {}).get("citation", "the paper").rstrip(".")
    entries = [e for part in parts for row in part["rows"] for e in row.get("published") or []]
    corpora = dict.fromkeys(corpus_name(e["corpus"]) for e in entries if e.get("corpus"))
    sentences = []
    if scale != "paper":
        source = "" if several else f" ({citation})"
        where = " and ".join(corpora) or "the paper's own corpus"
        sentences.append(
            f"Published numbers{source} are of {where} at the paper's scale: "
            "context, not comparison."
        )
    elif not several:
        sentences.append(f"Published: {citation}.")
    found = order_agreement(lines)
    if found.pairs:
        sentences.append(words.order(*found))
    return sentences
