"""The table of a suite for people: GitHub Markdown and LaTeX, made from the same cells."""

import itertools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

UNVERIFIED = "published value unverified"
# What the interval of a difference is made of; see awd.stats.
INTERVALS = {"seeds": "interval: seeds", "tokens": "interval: tokens"}
MEANING = {
    "seeds": "paired over seeds (t interval)",
    "tokens": "paired over the test tokens of one seed (block bootstrap; it does not cover the "
    "spread between trainings)",
}
CORPORA = {
    "ptb": "Penn Treebank",
    "wt2": "WikiText-2",
    "wikitext-2": "WikiText-2",
    "wikitext2": "WikiText-2",
}
# In print the page is narrow; these are in the csv and Markdown files.
COSTS = ("parameters", "seconds_per_epoch")  # what a published row may give besides perplexity
NOT_IN_LATEX = ("p", "s/epoch", "Verdict")
DASH = "\N{EN DASH}"
COUNTED = ("done", "partial")  # the states whose values may be compared with others


class Markup(NamedTuple):
    """How a format writes text, emphasis, a value that is context only, and a footnote mark."""

    text: Callable[[str], str]
    bold: Callable[[str], str]
    emphasis: Callable[[str], str]
    pale: Callable[[str], str]
    mark: Callable[[int], str]


MARKDOWN_CHARACTERS = str.maketrans(
    {**{c: f"\\{c}" for c in "\\|*_`"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "}
)
LATEX_CHARACTERS = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": r"\textbar{}",
        '"': "''",
        "[": "{[}",  # after a line break, a bare bracket would be read as its argument
        "]": "{]}",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{EM DASH}": "---",
        "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
        "\N{NO-BREAK SPACE}": "~",
        "\N{LEFT DOUBLE QUOTATION MARK}": "``",
        "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{MIDDLE DOT}": r"$\cdot$",
        "\N{RIGHTWARDS ARROW}": r"$\to$",
        "\N{ALMOST EQUAL TO}": r"$\approx$",
        "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
        "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
        "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
        "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
        "\N{GREEK SMALL LETTER BETA}": r"$\beta$",
        "\N{GREEK SMALL LETTER LAMDA}": r"$\lambda$",
        "\N{GREEK SMALL LETTER THETA}": r"$\theta$",
    }
)
MARKDOWN = Markup(
    text=lambda text: text.translate(MARKDOWN_CHARACTERS),
    bold=lambda text: f"**{text}**",
    emphasis=lambda text: f"*{text}*",
    pale=lambda text: f"<sub>{text}</sub>",
    mark=lambda number: f"<sup>{number}</sup>",
)
LATEX = Markup(
    text=lambda text: text.translate(LATEX_CHARACTERS),
    bold=lambda text: rf"\textbf{{{text}}}",
    emphasis=lambda text: rf"\emph{{{text}}}",
    pale=lambda text: rf"\textcolor{{gray}}{{{text}}}",
    mark=lambda number: rf"\textsuperscript{{{number}}}",
)


def markdown(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    """The table as GitHub Markdown: title, caption, a table per corpus, footnotes, notes."""
    body = _body(frame, suite, scale, MARKDOWN)
    parts = [f"## {MARKDOWN.text(suite['title'])}", body.caption]
    for corpus, lines in body.corpora.items():
        parts.append(f"### {MARKDOWN.text(corpus_name(corpus))}")
        parts.append(
            tabulate(lines, body.header, "github", colalign=body.sides, disable_numparse=True)
        )
    parts += ["<br>\n".join(body.footnotes), *body.notes]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    r"""The table as a LaTeX `table` environment, to be \input into a document."""
    body = _body(frame, suite, scale, LATEX, without=NOT_IN_LATEX)
    width = len(body.header)
    groups = []
    for corpus, lines in body.corpora.items():
        title = rf"\multicolumn{{{width}}}{{l}}{{\emph{{{LATEX.text(corpus_name(corpus))}}}}}"
        ready = [title, *(" & ".join(line) for line in lines)]
        groups.append("".join(f"{line} \\\\\n" for line in ready[len(body.corpora) < 2 :]))
    below = [note for note in (" ".join(body.footnotes), *body.notes) if note]
    lines = [
        r"% Needs \usepackage{booktabs} and \usepackage{xcolor} in the preamble.",
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{LATEX.text(suite['title'].rstrip('.'))}. {body.caption}}}",
        rf"\label{{tab:{suite['suite']}-{scale}}}",
        rf"\begin{{tabular}}{{{''.join(side[0] for side in body.sides)}}}",
        r"\toprule",
        *_two_header_lines(body.header),
        "\\midrule\n" + "\\midrule\n".join(groups) + r"\bottomrule",
        r"\end{tabular}",
        *[rf"\par\smallskip{{\raggedright {note}\par}}" for note in below],
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _two_header_lines(header: list[str]) -> list[str]:
    """`Published valid` and `Published test` as one heading over two columns, and a rule."""
    below = (" params", " s/epoch", " train", " valid", " test")
    pairs = [name.rsplit(" ", 1) if name.endswith(below) else ["", name] for name in header]
    above, rules, column = [], [], 1
    for group, columns in itertools.groupby(pairs, key=lambda pair: pair[0]):
        span = len(list(columns))
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{group}}}" if group else " & " * (span - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{column}-{column + span - 1}}}")
        column += span
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(n for _, n in pairs) + r" \\"]


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
                column["verified"] &= bool(entry.get("verified", False))
    return columns


class Body(NamedTuple):
    """A table made ready: everything in it is marked up, only the frame around it is not."""

    header: list[str]
    sides: list[str]  # left or right, per column
    corpora: dict[str, list[list[str]]]  # lines of cells per corpus
    caption: str
    footnotes: list[str]
    notes: list[str]


def _body(
    frame: pd.DataFrame, suite: dict, scale: str, markup: Markup, without: tuple[str, ...] = ()
) -> Body:
    rows = {(row["row"], row["corpus"]): row for row in suite["rows"]}
    columns = sorted({c for row in suite["rows"] for c in published_columns(row)} | {"paper"})
    columns.sort(key=lambda column: column != "paper")
    # Training perplexity is shown by studies that published it.
    splits = ("train", "valid", "test")[int(frame["published_train"].isna().all()) :]
    counted = frame[frame["status"].isin(COUNTED)]
    best = {
        (corpus, split): lines[split].min()
        for corpus, lines in counted.groupby("corpus", sort=False)
        for split in ("valid", "test")
        if lines[split].count() > 1
    }
    kinds = [kind for kind, note in INTERVALS.items() if frame["note"].str.contains(note).any()]
    footnotes: list[str] = []
    table: list[dict[str, str]] = []
    for line in frame.to_dict("records"):
        row = rows[line["row"], line["corpus"]]
        note = _note(line, kinds)
        if note and note not in footnotes:
            footnotes.append(note)
        mark = markup.mark(footnotes.index(note) + 1) if note else ""
        cells = {"": markup.text(line["label"]) + mark, "Params": _count(line["params"])}
        published = published_columns(row)
        for name, text in _published_costs(published.get("paper", {})).items():
            pale = scale != "paper" and text != DASH
            cells[name] = markup.pale(markup.text(text)) if pale else markup.text(text)
        for column in columns:
            name = "published" if column == "paper" else column
            for split in splits:
                value = published.get(column, {}).get(split)
                text = markup.text(_number(value))
                pale = scale != "paper" and value is not None
                cells[f"{name[0].upper()}{name[1:]} {split}"] = markup.pale(text) if pale else text
        for split in splits:
            text = _number(line[split]) + _number(line.get(f"{split}_sd"), " ± {:.2f}", "")
            top = line["status"] in COUNTED and line[split] == best.get((line["corpus"], split))
            cells[f"Reproduced {split}"] = (markup.bold if top else str)(markup.text(text))
        low, high = (_number(line[f"delta_{end}"], "{:+.2f}", "") for end in ("low", "high"))
        plain = {
            "Δ": _number(line["delta_test"], "{:+.2f}"),
            "95% interval": f"[{low}, {high}]" if low else DASH,
            "p": "<0.001" if line["p"] < 0.001 else _number(line["p"], "{:.3f}"),
            "s/epoch": _seconds(line["seconds_per_epoch"]),
            "Verdict": _verdict(line),
            "Status": _status(line, row),
        }
        table.append(cells | {name: markup.text(text) for name, text in plain.items()})
    # A column that says nothing about any row is left out; so is a status that is always done.
    silent = {markup.text(DASH), "done"}
    header = [
        name
        for name in (table[0] if table else {})
        if name not in without and (not name or {cells[name] for cells in table} - silent)
    ]
    lines: dict[str, list[list[str]]] = {}
    for cells, corpus in zip(table, frame["corpus"], strict=True):
        lines.setdefault(corpus, []).append([cells[name] for name in header])
    return Body(
        [markup.text(name) for name in header],
        ["left" if name in ("", "Verdict", "Status") else "right" for name in header],
        lines,
        markup.text(_caption(frame, suite, scale, kinds, bool(best))),
        [
            f"{markup.mark(i)} {_prose(note[:1].upper() + note[1:].rstrip('.'), markup)}."
            for i, note in enumerate(footnotes, 1)
        ],
        [_prose(note, markup) for note in suite.get("notes") or []],
    )


def _prose(text: str, markup: Markup) -> str:
    """Notes as their authors write them: *emphasis*, and straight quotes that become curly."""
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    parts = re.split(r"\*(\w[^*]*)\*", text)
    return "".join(
        markup.emphasis(markup.text(part)) if number % 2 else markup.text(part)
        for number, part in enumerate(parts)
    )


def _caption(frame: pd.DataFrame, suite: dict, scale: str, kinds: list[str], bold: bool) -> str:
    corpora = " and ".join(corpus_name(corpus) for corpus in dict.fromkeys(frame["corpus"]))
    seeds = max((len(row["runs"]) for row in suite["rows"]), default=0)
    says = [
        f"Scale {scale}; {corpora}; {seeds} seed{'s' * (seeds != 1)}.",
        "Perplexity on validation and test text, lower is better.",
    ]
    if frame[["valid_sd", "test_sd"]].notna().any(axis=None):
        says.append("± is the standard deviation over seeds.")
    if frame["delta_test"].notna().any():
        base = next((r["label"] for r in suite["rows"] if r["row"] == suite.get("base")), "")
        how = f", {MEANING[kinds[0]]}, with its 95% interval" if kinds else ""
        says.append(f"Δ is the difference in test perplexity from “{base}”{how}.")
    if bold:
        says.append("Bold: best reproduced value of a corpus.")
    if any(published_columns(row) for row in suite["rows"]):
        citation = (suite.get("paper") or {}).get("citation", "the paper").rstrip(".")
        entries = [entry for row in suite["rows"] for entry in row.get("published") or []]
        theirs = dict.fromkeys(corpus_name(e["corpus"]) for e in entries if e.get("corpus"))
        says.append(
            f"Published: {citation}."
            if scale == "paper"
            else f"Published numbers ({citation}) stand for "
            f"{' and '.join(theirs) or 'its own corpus'} at the paper's scale: "
            "they are context, not comparison."
        )
    return " ".join(says)


def _note(line: dict, kinds: list[str]) -> str:
    """What a footnote has to say about a row that neither caption nor status says already."""
    said = INTERVALS[kinds[0]] if kinds else None
    notes = [
        f"Δ {MEANING['tokens']}" if note == INTERVALS["tokens"] else note
        for note in line["note"].split("; ")
        if note and note != said and not re.fullmatch(r"\d+ of \d+ seeds", note)
    ]
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


def _published_costs(paper: dict) -> dict[str, str]:
    """As many digits as the paper gives."""
    parameters, seconds = (paper.get(key) for key in COSTS)
    return {
        "Published params": DASH if parameters is None else f"{parameters / 1e6:g}M",
        "Published s/epoch": DASH if seconds is None else f"{seconds:g}",
    }


def _seconds(seconds: float) -> str:
    return _number(seconds, "{:.2f}" if seconds < 10 else "{:.1f}" if seconds < 100 else "{:.0f}")


def _number(value: float | None, shape: str = "{:.2f}", missing: str = DASH) -> str:
    """Two decimals, a proper minus sign, and a dash for what is not known."""
    if value is None or math.isnan(value):
        return missing
    return shape.format(value).replace("-", "\N{MINUS SIGN}")
