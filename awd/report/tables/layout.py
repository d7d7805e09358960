"""What a table for people says: its cells, caption and footnotes, the same for every format."""

import math
import re
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import pandas as pd

UNVERIFIED = "published value unverified"
NO_INTERVAL = "no interval: one seed, and records without losses by block"
# What the interval of a difference knows of; see awd.report.stats.
MEANING = {
    "seeds and tokens": "over seeds and blocks of the test text",
    "seeds": "over seeds, for this test text",
    "tokens": "over blocks of the test text, for one seed: it does not cover the spread between "
    "trainings",
}
CORPORA = {
    "ptb": "Penn Treebank",
    "wikitext-2": "WikiText-2",
    "wikitext2": "WikiText-2",
}
COSTS = ("parameters", "seconds_per_epoch")  # what a published row may give besides perplexity
DASH = "\N{EN DASH}"
COUNTED = ("done", "partial")  # the states whose values may be compared with others


class Markup(NamedTuple):
    """How a format writes text and what is special about it."""

    text: Callable[[str], str]
    bold: Callable[[str], str]  # the best value
    emphasis: Callable[[str], str]
    pale: Callable[[str], str]  # context only
    struck: Callable[[str], str]  # of a model that reads ahead
    mark: Callable[[str, int], str]  # of a footnote, by the table's name and its number


class Cell(NamedTuple):
    """A marked-up text, and the number to sort by if it has one."""

    text: str
    value: float | None = None


class Group(NamedTuple):
    """Lines under one heading: the corpus, or suite and corpus; each with its line of the frame."""

    title: str
    lines: list[tuple[dict, list[Cell]]]


class Body(NamedTuple):
    """A table made ready: everything in it is marked up, only the frame around it is not."""

    title: str
    caption: str
    header: list[str]
    sides: list[str]  # left or right, per column
    groups: list[Group]
    footnotes: list[str]
    notes: list[str]


def corpus_name(corpus: str) -> str:
    """The name a reader knows a corpus by."""
    return CORPORA.get(corpus, corpus)


def published_columns(row: dict) -> dict[str, dict]:
    """Published values of a row by column; the first one given for a split, or a cost, counts.

    A column is verified only if every value taken from it is.
    """
    columns: dict[str, dict] = {}
    for entry in row.get("published") or []:
        column = columns.setdefault(entry.get("column", "paper"), {"verified": True})
        for value in ("train", "valid", "test", *COSTS):
            if entry.get(value) is not None and value not in column:
                column[value] = entry[value]
                column["verified"] &= bool(entry.get("verified", True))
    return columns


def body(
    frame: pd.DataFrame, suite: dict, scale: str, markup: Markup, without: tuple[str, ...] = ()
) -> Body:
    """The table of report.tables marked up, but for columns ``without`` and those that say nothing.

    ``suite`` is one of the plan, or what report.tables.combine made of several: then its lines
    stand under the names of their suites, with the columns that all of them share.
    """
    several = "parts" in suite
    parts = suite.get("parts", [suite])
    rows = {(p["suite"], row["row"], row["corpus"]): row for p in parts for row in p["rows"]}
    titles = {part["suite"]: part["title"] for part in parts}
    bases = {part["suite"]: part.get("base") for part in parts}
    columns = ["paper"]
    # Training perplexity is shown by studies that published it.
    splits = ("train", "valid", "test")[int(frame["published_train"].isna().all() or several) :]
    if not several:
        columns += sorted({c for row in rows.values() for c in published_columns(row)} - {"paper"})
    lines = frame.to_dict("records")  # many times faster to go through than a frame
    found: dict[tuple, list[float]] = {}
    for line in filter(compared, lines):
        for split in ("valid", "test"):
            if not math.isnan(line[split]):
                found.setdefault((line["suite"], line["corpus"], split), []).append(line[split])
    best = {place: min(values) for place, values in found.items() if len(values) > 1}
    kinds = [kind for kind in MEANING if any(line["interval"] == kind for line in lines)]
    footnotes: list[str] = []
    table: list[dict[str, Cell]] = []
    for line in lines:
        counts, row = compared(line), rows[line["suite"], line["row"], line["corpus"]]
        note = _note(line, row, kinds, with_status="Status" in without)
        if note and note not in footnotes:
            footnotes.append(note)
        mark = markup.mark(suite["suite"], footnotes.index(note) + 1) if note else ""
        strike = markup.struck if line["status"] == "leaks" else str
        cells = {"": Cell(strike(markup.text(line["label"])) + mark)}
        cells["Params"] = Cell(_count(line["params"]), line["params"])
        published = published_columns(row)
        shown = {} if several else _published_costs(published.get("paper", {}))
        for column in columns:
            name = "published" if column == "paper" else column
            for split in splits:
                value = published.get(column, {}).get(split)
                shown[f"{name[0].upper()}{name[1:]} {split}"] = Cell(_number(value), value)
        for name, (text, value) in shown.items():
            pale = scale != "paper" and value is not None
            cells[name] = Cell((markup.pale if pale else str)(markup.text(text)), value)
        for split in splits:
            text = _number(line[split]) + _number(line.get(f"{split}_sd"), " ± {:.2f}", "")
            top = counts and line[split] == best.get((line["suite"], line["corpus"], split))
            shape = markup.bold if top else strike if text != DASH else str
            cells[f"Reproduced {split}"] = Cell(shape(markup.text(text)), line[split])
        low, high = (_number(line[f"delta_{end}"], "{:+.2f}", "") for end in ("low", "high"))
        is_base = line["row"] == bases[line["suite"]] and counts
        plain = {
            "Seeds": Cell(f"{line['n']}", line["n"]),
            "Δ": Cell(
                "base" if is_base else _number(line["delta_test"], "{:+.2f}"), line["delta_test"]
            ),
            "95% interval": Cell(f"[{low}, {high}]" if low else DASH, line["delta_low"]),
            "p": Cell(_probability(line["p"]), line["p"]),
            "p (Holm)": Cell(_probability(line["p_holm"]), line["p_holm"]),
            "s/epoch": Cell(_seconds(line["seconds_per_epoch"]), line["seconds_per_epoch"]),
            "Verdict": Cell(_verdict(line)),
            "Status": Cell(_status(line, row)),
        }
        table.append(cells | {key: Cell(markup.text(c.text), c.value) for key, c in plain.items()})
    # A column that says nothing about any row is left out; so is a status that is always done.
    silent = {markup.text(text) for text in (DASH, "base", "done")}
    header = [
        name
        for name in (table[0] if table else {})
        if name not in without and (not name or {cells[name].text for cells in table} - silent)
    ]
    groups: dict[tuple, Group] = {}
    for cells, line in zip(table, lines, strict=True):
        corpus = corpus_name(line["corpus"])
        title = f"{titles[line['suite']]} ({corpus})" if several else corpus
        place = (line["suite"], line["corpus"])
        group = groups.setdefault(place, Group(markup.text(title), []))
        group.lines.append((line, [cells[name] for name in header]))
    return Body(
        markup.text(suite["title"].rstrip(".")),
        markup.text(" ".join(_caption(frame, suite, scale, kinds, bool(best), header))),
        [markup.text(name) for name in header],
        ["left" if name in ("", "Verdict", "Status") else "right" for name in header],
        list(groups.values()),
        [prose(note[:1].upper() + note[1:].rstrip(".") + ".", markup) for note in footnotes],
        [] if several else [prose(note, markup) for note in suite.get("notes") or []],
    )


def compared(line: dict) -> bool:
    """Whether a line may be set against others: no leak, and no other kind of evaluation."""
    return line["status"] in COUNTED and not isinstance(line["incomparable"], str)


def prose(text: str, markup: Markup) -> str:
    """Notes as their authors write them: *emphasis*, and straight quotes that become curly."""
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    parts = re.split(r"\*(\w[^*]*)\*", text)
    return "".join(
        markup.emphasis(markup.text(part)) if number % 2 else markup.text(part)
        for number, part in enumerate(parts)
    )


def _caption(
    frame: pd.DataFrame,
    suite: dict,
    scale: str,
    kinds: list[str],
    bold: bool,
    header: list[str],
) -> list[str]:
    """Sentences that say how to read the table."""
    several, parts = "parts" in suite, suite.get("parts", [suite])
    corpora = " and ".join(corpus_name(corpus) for corpus in dict.fromkeys(frame["corpus"]))
    seeds = max((len(row["runs"]) for part in parts for row in part["rows"]), default=0)
    says = [
        f"Scale {scale}; {corpora}; {seeds} seed{'s' * (seeds != 1)}.",
        "Perplexity on validation and test text, lower is better.",
    ]
    counts = frame["status"].value_counts()
    lacking = [f"{counts[state]} {state}" for state in ("missing", "partial") if state in counts]
    if lacking:
        says.append(f"Not complete: of {len(frame)} rows, {' and '.join(lacking)}.")
    if frame[["valid_sd", "test_sd"]].notna().any(axis=None):
        says.append("± is the standard deviation over seeds.")
    if frame["delta_test"].notna().any():
        whom = "the base row of the suite"
        if not several:
            names = [row["label"] for row in suite["rows"] if row["row"] == suite.get("base")]
            whom = f"“{names[0]}”"
        how = f"paired, with its 95% interval {MEANING[kinds[0]]}" if kinds else NO_INTERVAL
        says.append(f"Δ is the difference in test perplexity from {whom}, {how}.")
    if "p (Holm)" in header:
        says.append("p (Holm) is corrected for the number of rows compared on a corpus.")
    if bold:
        where = "suite and corpus" if several else "corpus"
        says.append(f"Bold: best reproduced value of a {where}.")
    if (frame["status"] == "leaks").any():
        says.append("Struck through: the model reads what it is to predict.")
    if any(published_columns(row) for part in parts for row in part["rows"]):
        citation = (suite.get("paper") or {}).get("citation", "the paper").rstrip(".")
        entries = [e for part in parts for row in part["rows"] for e in row.get("published") or []]
        theirs = dict.fromkeys(corpus_name(e["corpus"]) for e in entries if e.get("corpus"))
        if scale != "paper":
            source = "" if several else f" ({citation})"
            says.append(
                f"Published numbers{source} stand for {' and '.join(theirs) or 'its own corpus'} "
                "at the paper's scale: they are context, not comparison."
            )
        elif not several:
            says.append(f"Published: {citation}.")
        agree, pairs = order_agreement(frame)
        if pairs:
            says.append(f"Order: {agree} of {pairs} pairs of rows stand as published.")
    return says


def order_agreement(frame: pd.DataFrame) -> tuple[int, int]:
    """How many pairs of rows have the published order of perplexities, and of how many.

    A pair is of a suite and corpus, comparable, and published on the same split: by its test
    perplexity or, where that is not published of both, by that of the validation text. Pairs that
    are published as equal are left out. The share is (1 + Kendall's tau) / 2.
    """
    agree = total = 0
    for _, lines in frame.groupby(["suite", "corpus"], sort=False):
        for one, other in combinations(filter(compared, lines.to_dict("records")), 2):
            for split in ("test", "valid"):
                ours, theirs = (one[at] - other[at] for at in (split, f"published_{split}"))
                if not math.isnan(ours) and not math.isnan(theirs):
                    agree += ours * theirs > 0
                    total += theirs != 0
                    break
    return agree, total


def _note(line: dict, row: dict, kinds: list[str], with_status: bool) -> str:
    """What a footnote has to say about a row that neither caption nor status says already."""
    note = line["note"].split("; ") if line["note"] else []
    notes = [part for part in note if not re.fullmatch(r"\d+ of \d+ seeds", part)]
    # Divergence and leaks have their reason in the note.
    if with_status and line["status"] in ("partial", "missing"):
        notes.insert(0, _status(line, row))
    if not kinds and NO_INTERVAL in notes:
        notes.remove(NO_INTERVAL)
    if line["interval"] in kinds[1:]:
        notes.append(f"interval {MEANING[line['interval']]}")
    return "; ".join(notes)


def _status(line: dict, row: dict) -> str:
    if line["status"] != "partial":
        return line["status"]
    return f"partial ({line['n']} of {len(row['runs'])} seeds)"


def _verdict(line: dict) -> str:
    if line["verdict"] == "reproduced":
        return "within 3%"
    if not isinstance(line["verdict"], str):
        return DASH
    pairs = [(line[split], line[f"published_{split}"]) for split in ("test", "valid")]
    value, published = next(pair for pair in pairs if all(map(math.isfinite, pair)))
    return f"{abs(value / published - 1):.1%} {line['verdict']}"


def _count(parameters: int | None) -> str:
    if parameters is None or pd.isna(parameters):
        return DASH
    return f"{parameters / 1e6:.1f}M" if parameters >= 1e6 else f"{parameters / 1e3:.0f}k"


def _published_costs(paper: dict) -> dict[str, Cell]:
    """As many digits as the paper gives."""
    parameters, seconds = (paper.get(key) for key in COSTS)
    return {
        "Published params": Cell(
            DASH if parameters is None else f"{parameters / 1e6:g}M", parameters
        ),
        "Published s/epoch": Cell(DASH if seconds is None else f"{seconds:g}", seconds),
    }


def _seconds(seconds: float) -> str:
    return _number(seconds, "{:.2f}" if seconds < 10 else "{:.1f}" if seconds < 100 else "{:.0f}")


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else _number(p, "{:.3f}")


def _number(value: float | None, shape: str = "{:.2f}", missing: str = DASH) -> str:
    """Two decimals, a proper minus sign, and a dash for what is not known."""
    if value is None or math.isnan(value):
        return missing
    return shape.format(value).replace("-", "\N{MINUS SIGN}")
