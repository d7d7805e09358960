"""The content of a table, marked up for one format: columns, lines, caption, footnotes."""

import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from awd.report import words
from awd.report.remarks import (
    AtEpoch,
    Ended,
    NoInterval,
    NoPublishedInterval,
    OtherInterval,
    Remark,
    SeedsMissing,
)
from awd.report.stats import SIGNIFICANCE
from awd.report.tables.build import COUNTED, beats_frequencies, compared, published_columns
from awd.report.tables.caption import Facts, caption
from awd.report.words import DASH, MINUS, TIMES, text_name
from awd.study.methods import parse_method
from awd.vocabulary import HELD_OUT, Split, Status


class Markup(NamedTuple):
    """How a format writes text, and text that is special."""

    text: Callable[[str], str]
    bold: Callable[[str], str]  # the best value
    emphasis: Callable[[str], str]
    pale: Callable[[str], str]  # context only
    struck: Callable[[str], str]  # of a model that reads ahead
    mark: Callable[[str, int], str]  # of a footnote, by the table's name and its number


class Column(NamedTuple):
    """A column: a name of words.HEADINGS, and the group it stands in ("" for none)."""

    name: str
    group: str = ""

    @property
    def left(self) -> bool:
        """Whether its entries are text, aligned to the left."""
        return self.name in ("label", "verdict", "status")

    @property
    def spelled(self) -> str:
        """Its name on a command line: test if reproduced, published.test, ..."""
        return self.name if self.group in ("", REPRODUCED) else f"{self.group}.{self.name}"

    @property
    def heading(self) -> str:
        """Its heading with its group's, not marked up."""
        parts = (words.group_heading(self.group), words.heading(self.name, self.group))
        return " ".join(filter(None, parts))


LABEL = Column("label")
STATUS = Column("status")
PUBLISHED, REPRODUCED, DIFFERENCE = "published", "reproduced", "difference"  # groups of columns
TOPS = tuple(Column(split, REPRODUCED) for split in HELD_OUT)
"""The columns whose best value is bold."""
SPREADS = {Column(f"{split}_interval", DIFFERENCE): f"difference_{split}" for split in HELD_OUT}
"""The columns with the interval of a difference from the published number, and its name in csv."""


class Entry(NamedTuple):
    """A marked-up text, the number to sort by if there is one, and whether it is no news."""

    text: str
    value: float | None = None
    empty: bool = False


class Line(NamedTuple):
    """A line of the frame with its entries; ``label`` has no mark of the footnote ``note``."""

    facts: dict
    label: str
    note: int | None
    entries: dict[Column, Entry]


class Group(NamedTuple):
    """Lines under one heading: the corpus, or suite and corpus."""

    title: str
    lines: list[Line]


class Body(NamedTuple):
    """A table made ready: all text but that of columns is marked up."""

    title: str
    caption: str
    columns: list[Column]
    left_out: list[Column]  # in which a row has news
    groups: list[Group]
    footnotes: list[str]
    notes: list[str]
    bold: str = ""  # of which rows the best value is bold


def usual(columns: list[Column]) -> list[Column]:
    """Return the columns of a table that nobody chose: no differences from published numbers.

    A verdict has them in percent.
    """
    return [column for column in columns if column.group != DIFFERENCE]


def body(
    frame: pd.DataFrame,
    suite: dict,
    scale: str,
    markup: Markup,
    choose: Callable[[list[Column]], list[Column]] = usual,
) -> Body:
    """Lay out a table of report.tables.

    ``suite`` is one of the plan, or what report.tables.combine made of several: then its lines
    stand under the names of their suites, with the columns that all of them share. Of the columns
    in which a row has news, ``choose`` takes those that are shown beside the label.
    """
    several, parts = "parts" in suite, suite.get("parts", [suite])
    studies = {part["suite"]: part for part in parts}
    lines = frame.to_dict("records")  # many times faster to go through than a frame
    best = _best(lines)
    entries = _entries(lines, suite, scale, markup, best)
    news = [
        column
        for column in (entries[0] if entries else {})
        if not all(each[column].empty for each in entries)
    ]
    columns = choose(news)
    spread = any(column in SPREADS for column in columns)
    kinds = [kind for kind in words.INTERVALS if any(line["interval"] == kind for line in lines)]
    unknown = _unknown(lines) if not kinds else None
    footnotes: list[tuple[Remark, ...]] = []
    groups: dict[tuple, Group] = {}
    for line, own in zip(lines, entries, strict=True):
        note = _footnote(line, kinds, unknown, STATUS not in columns, spread)
        if note and note not in footnotes:
            footnotes.append(note)
        place = footnotes.index(note) + 1 if note else None
        label = markup.text(line["label"])
        label = markup.struck(label) if line["status"] == Status.LEAKS else label
        marked = label + (markup.mark(suite["suite"], place) if place else "")
        study, corpus = studies[line["suite"]], line["corpus"]
        text = text_name(study, corpus)
        title = markup.text(f"{study['title']} ({text})" if several else text)
        group = groups.setdefault((line["suite"], corpus), Group(title, []))
        group.lines.append(Line(line, label, place, {LABEL: Entry(marked)} | own))
    of_rows = "a suite and corpus" if several else "a corpus"
    if "all_rows" in suite:
        of_rows = f"the rows shown{' of a corpus' * (len(groups) > 1)}"
    bold = of_rows if any(column in TOPS for column in columns) and best else ""
    names = {column.spelled for column in columns}
    delta = bool(names & {"delta", "interval"})
    theirs = any(column.group not in ("", REPRODUCED) for column in columns) or "verdict" in names
    apart = any(column.group == DIFFERENCE for column in columns)
    facts = Facts(scale, kinds, bold, delta, "p_holm" in names, theirs, apart, spread, unknown)
    return Body(
        markup.text(suite["title"].rstrip(".")),
        markup.text(caption(lines, suite, facts)),
        [LABEL, *columns],
        [column for column in usual(news) if column not in columns],
        list(groups.values()),
        [prose(_sentence(note), markup) for note in footnotes],
        [] if several else [prose(note, markup) for note in suite.get("notes") or []],
        bold,
    )


def _entries(
    lines: list[dict], suite: dict, scale: str, markup: Markup, best: dict[tuple, float]
) -> list[dict[Column, Entry]]:
    """The entries of each line but its label; ``best`` is that of `_best`."""
    several, parts = "parts" in suite, suite.get("parts", [suite])
    rows = {(p["suite"], row["row"], row["corpus"]): row for p in parts for row in p["rows"]}
    bases = {part["suite"]: part.get("base") for part in parts}
    published = {place: published_columns(row) for place, row in rows.items()}
    sources, splits = ["paper"], tuple(HELD_OUT)
    if not several:  # which share these columns alone
        sources += sorted({each for columns in published.values() for each in columns} - {"paper"})
        # Training perplexity is shown by studies that published it.
        if any(not math.isnan(line["published_train"]) for line in lines):
            splits = tuple(Split)
    pale = markup.pale if scale != "paper" else str
    found = []
    for line in lines:
        place = line["suite"], line["row"], line["corpus"]
        is_base = line["row"] == bases[line["suite"]] and line["status"] in COUNTED
        found.append(
            _parameters(line, markup)
            | (_published_costs(published[place], markup, pale) if not several else {})
            | _published(published[place], sources, splits, markup, pale)
            | _reproduced(line, splits, best, markup)
            | _differences(line, markup, pale)
            | _measures(line, is_base, markup)
            | {Column("verdict"): _verdict(line, markup)}
            | {STATUS: _status(line, len(rows[place]["runs"]), markup)}
        )
    return found


def prose(text: str, markup: Markup) -> str:
    """Mark up notes as their authors write them: *emphasis*, and straight quotes made curly."""
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    parts = re.split(r"\*(\w[^*]*)\*", text)
    return "".join(
        markup.emphasis(markup.text(part)) if place % 2 else markup.text(part)
        for place, part in enumerate(parts)
    )


def finite(value: float | None) -> float | None:
    """Return a number to sort by, or None."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    return float(value)


def _best(lines: list[dict]) -> dict[tuple[str, str, str], float]:
    """The lowest perplexity by suite, corpus and split, where several are compared.

    Without a known noise of training no row is called the best; nor is one that is no better than
    word frequencies.
    """
    found: dict[tuple, list[tuple[float, bool]]] = {}
    for line in filter(compared, lines):
        if math.isnan(line["noise_freedom"]):
            continue
        for split in HELD_OUT:
            if not math.isnan(line[split]):
                found.setdefault((line["suite"], line["corpus"], split), []).append(
                    (line[split], beats_frequencies(line))
                )
    tops = {place: min(values) for place, values in found.items() if len(values) > 1}
    return {place: value for place, (value, beats) in tops.items() if beats}


def _marked(
    text: str, value: float | None, markup: Markup, shape: Callable[[str], str] = str
) -> Entry:
    """An entry; one that is only a dash has no shape."""
    if text == DASH:
        return Entry(markup.text(text), value, empty=True)
    return Entry(shape(markup.text(text)), value)


def _parameters(line: dict, markup: Markup) -> dict[Column, Entry]:
    models, size = parse_method(line["method"]).models, line["params"]
    if models == 1 or pd.isna(size):
        return {Column("parameters"): _marked(count(size), size, markup)}
    text = f"{models} {TIMES} {count(size)}"
    return {Column("parameters"): _marked(text, models * size, markup)}


def _published(
    published: dict[str, dict],
    sources: list[str],
    splits: tuple[Split, ...],
    markup: Markup,
    pale: Callable[[str], str],
) -> dict[Column, Entry]:
    """Published perplexities, those of the paper first."""
    found = {}
    for source in sources:
        group = PUBLISHED if source == "paper" else source
        for split in splits:
            value = published.get(source, {}).get(split)
            found[Column(split, group)] = _marked(number(value), value, markup, pale)
    return found


def _reproduced(
    line: dict, splits: tuple[Split, ...], best: dict[tuple, float], markup: Markup
) -> dict[Column, Entry]:
    """Perplexities with their deviation: bold if best, struck through if the model reads ahead."""
    found = {}
    for split in splits:
        value = line[split]
        shape = markup.struck if line["status"] == Status.LEAKS else str
        if compared(line) and value == best.get((line["suite"], line["corpus"], split)):
            shape = markup.bold
        text = number(value) + number(line.get(f"{split}_sd"), " ± {:.2f}", "")
        found[Column(split, REPRODUCED)] = _marked(text, value, markup, shape)
    return found


def _differences(line: dict, markup: Markup, pale: Callable[[str], str]) -> dict[Column, Entry]:
    """Reproduced minus published perplexity with its interval, of a row that may be compared."""
    found = {}
    for split in HELD_OUT:
        value = line[f"difference_{split}"]
        text = number(value, "{:+.2f}")
        found[Column(split, DIFFERENCE)] = _marked(text, value, markup, pale)
    for column, name in SPREADS.items():
        found[column] = _marked(*_interval(line, name), markup)
    return found


def _known(line: dict, interval: str) -> bool:
    return not math.isnan(line[f"{interval}_low"])


def _interval(line: dict, name: str) -> tuple[str, float]:
    """The interval whose ends the line has under ``name``, and its lower end."""
    low, high = (line[f"{name}_{end}"] for end in ("low", "high"))
    text = f"[{number(low, '{:+.2f}')}, {number(high, '{:+.2f}')}]"
    return text if _known(line, name) else DASH, low


def _measures(line: dict, is_base: bool, markup: Markup) -> dict[Column, Entry]:
    """Seeds, the difference from the base row with its uncertainty, and time."""
    shown = {
        "seeds": (f"{line['n']}", line["n"]),
        "delta": (number(line["delta_test"], "{:+.2f}"), line["delta_test"]),
        "interval": _interval(line, "delta"),
        "p": (probability(line["p"]), line["p"]),
        "p_holm": (probability(line["p_holm"]), line["p_holm"]),
        "seconds_per_epoch": (seconds_text(line["seconds_per_epoch"]), line["seconds_per_epoch"]),
    }
    found = {Column(name): _marked(*pair, markup) for name, pair in shown.items()}
    if is_base:
        text = markup.text(words.BASE)
        found[Column("delta")] = Entry(text, line["delta_test"], empty=True)
    return found


def _unknown(lines: list[dict]) -> NoInterval | None:
    """Why no row has an interval, if the reason is the same for all and not of a row alone."""
    found = {each for line in lines for each in line["remarks"] if isinstance(each, NoInterval)}
    only = found.pop() if len(found) == 1 else None
    return None if only and only.whose == "row" else only


def _footnote(
    line: dict, kinds: list[str], unknown: NoInterval | None, with_status: bool, spread: bool
) -> tuple[Remark, ...]:
    """What neither caption nor status column says about a row.

    ``spread``: intervals of differences from published numbers are shown.
    """
    # Divergence and leaks have a remark of their own.
    shown = with_status and line["status"] in (Status.PARTIAL, Status.MISSING)
    found = [each for each in line["remarks"] if shown or not isinstance(each, SeedsMissing)]
    if not with_status:
        found = [each for each in found if not isinstance(each, AtEpoch)]
    judged = isinstance(line["verdict"], str)
    if not spread or not judged or any(_known(line, each) for each in SPREADS.values()):
        found = [e for e in found if e != unknown and not isinstance(e, NoPublishedInterval)]
    if line["interval"] in kinds[1:]:
        found.append(OtherInterval(line["interval"]))
    return tuple(found)


def _sentence(note: tuple[Remark, ...]) -> str:
    # The state comes first, whatever the suite remarks.
    text = words.remarks(sorted(note, key=lambda each: not isinstance(each, SeedsMissing)))
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _status(line: dict, planned: int, markup: Markup) -> Entry:
    """The state, and how far an unfinished training is."""
    behind = [words.remark(each) for each in line["remarks"] if isinstance(each, AtEpoch)]
    ends = [each.epochs for each in line["remarks"] if isinstance(each, Ended) and each.epochs]
    state = words.status(line["status"], line["n"], planned, max(ends, default=None))
    empty = line["status"] == Status.DONE and not behind
    return Entry(markup.text("; ".join([state, *behind])), empty=empty)


def _verdict(line: dict, markup: Markup) -> Entry:
    if not isinstance(line["verdict"], str):
        return Entry(markup.text(DASH), empty=True)
    return Entry(markup.text(words.verdict(line["verdict"], line["distance"])), line["distance"])


@functools.cache
def count(parameters: int | None) -> str:
    """Write a number of parameters in thousands or millions."""
    if parameters is None or pd.isna(parameters):
        return DASH
    return f"{parameters / 1e6:.1f}M" if parameters >= 1e6 else f"{parameters / 1e3:.0f}k"


def _published_costs(
    published: dict[str, dict], markup: Markup, pale: Callable[[str], str]
) -> dict[Column, Entry]:
    """Parameters and seconds per epoch, with as many digits as the paper gives."""
    paper = published.get("paper", {})
    parameters, seconds = paper.get("parameters"), paper.get("seconds_per_epoch")
    millions = DASH if parameters is None else f"{parameters / 1e6:g}M"
    time = DASH if seconds is None else f"{seconds:g}"
    return {
        Column("parameters", PUBLISHED): _marked(millions, parameters, markup, pale),
        Column("seconds_per_epoch", PUBLISHED): _marked(time, seconds, markup, pale),
    }


def seconds_text(seconds: float) -> str:
    """Write seconds with about three digits."""
    return number(seconds, "{:.2f}" if seconds < 10 else "{:.1f}" if seconds < 100 else "{:.0f}")


def probability(p: float) -> str:
    """Write a p value, with a digit more where three hide that it is not below SIGNIFICANCE."""
    if p < 0.001:
        return "<0.001"
    hidden = p >= SIGNIFICANCE and round(p, 3) == SIGNIFICANCE
    return number(p, "{:.4f}" if hidden else "{:.3f}")


def number(value: float | None, shape: str = "{:.2f}", missing: str = DASH) -> str:
    """Write a number with two decimals, a proper minus sign, and a dash for what is not known."""
    if value is None or math.isnan(value):
        return missing
    return shape.format(value).replace("-", MINUS)
