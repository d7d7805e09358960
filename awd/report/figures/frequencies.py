"""Where a row helps: at rare words or at frequent ones?"""

import math
import textwrap

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from awd.report.comparability import measured_differently
from awd.report.evaluations import evaluations_of
from awd.report.figures.drawing import explain_below, nothing, panels, stack, write_title
from awd.report.figures.style import DIVERGING, GREY, INK, SHORTEST, fitting, scaled, styled
from awd.report.figures.traces import corpora
from awd.report.stats import SIGNIFICANCE, Result, beyond_noise, compare, holm, pool
from awd.report.tables.layout import number
from awd.report.words import text_name
from awd.vocabulary import Status

LABEL_WIDTH = 25  # characters before a row's name is broken
TITLE_WIDTH = 34  # and before the name of the text is
FADED = 0.4  # of its colour, for a number that is grey, which has to be read on it


@styled
def draw(suite: dict, records: pd.DataFrame, **_rest) -> Figure:
    """Loss on test words by how frequent they are in the training text, against the base row.

    A panel per corpus, a line per row, a column per band of frequency: mean nats per token minus
    those of the base row; the base row's line has its own mean nats. Grey numbers are not beyond
    the noise of training: p, corrected with Holm's method for all numbers of a panel, is not below
    SIGNIFICANCE. The share of the test text that a band has stands under its heading. ``records``
    is the frame of report.records; rows whose records have no losses by frequency are left out.
    """
    differing = measured_differently(suite, records)
    comparable = [row for row in suite["rows"] if (row["row"], row["corpus"]) not in differing]
    measured = {corpus: _by_band(comparable, corpus, records) for corpus in corpora(suite)}
    measured = {corpus: rows for corpus, rows in measured.items() if suite.get("base") in rows}
    if not measured:
        return nothing("No loss by word frequency of this suite has been recorded yet.")
    most = max(measured.values(), key=len)
    names = {row["row"]: row["label"] for row in suite["rows"]}
    highest = max(stack([names[row]], fitting(LABEL_WIDTH, SHORTEST))[2] for row in most)
    with matplotlib.rc_context({"axes.titley": None}):  # titles above the headings of columns
        figure, axes = panels(list(measured), height=len(most) * highest + scaled(1.0))
        for axis, corpus in zip(axes, measured, strict=True):
            write_title(axis, text_name(suite, corpus), TITLE_WIDTH)
    for axis, (corpus, rows) in zip(axes, measured.items(), strict=True):
        _draw(axis, rows, suite["base"], names, suite.get("train_tokens", {}).get(corpus, {}))
    text = (
        "columns: how often a word occurs in the training text, and the share of the test text; "
        f"numbers: nats per token, of {names[suite['base']]} and of the others minus those"
    )
    if any(len(runs) > 1 for rows in measured.values() for runs in rows.values()):
        text += f"; grey: not beyond the noise of training (p of {SIGNIFICANCE:g}, Holm)"
    explain_below(figure, text)
    return figure


def _by_band(rows: list[dict], corpus: str, records: pd.DataFrame) -> dict[str, dict[str, dict]]:
    """Per row and run that are sound: {least frequency of a band: (summed nats, tokens)}."""
    lines = records[(records["split"] == "test") & (records["status"] == Status.DONE)]
    lines = lines.dropna(subset="by_frequency")
    found = lines.set_index(["run", "stage", "method"])["by_frequency"].to_dict()
    measured = {
        row["row"]: {key[0]: found[key] for key in evaluations_of(row) if key in found}
        for row in rows
        if row["corpus"] == corpus
    }
    return {row: by_run for row, by_run in measured.items() if by_run}


def _draw(
    axis: Axes,
    rows: dict[str, dict[str, dict]],
    base: str,
    names: dict[str, str],
    train_tokens: dict[str, int],
) -> None:
    """A panel; rows with the same number of ``train_tokens`` share their noise of training."""
    of_base = rows[base]
    first = next(iter(of_base.values()))
    bands = sorted(first)
    lines = [base, *(row for row in rows if row != base)]
    labels = [textwrap.fill(names[row], fitting(LABEL_WIDTH, SHORTEST)) for row in lines]
    means, tests = np.full((len(lines), len(bands)), np.nan), {}
    for j, band in enumerate(bands):
        results = {
            row: [Result(_mean(each, band), run=run) for run, each in rows[row].items()]
            for row in lines
        }
        alike: dict[int, list] = {}
        for row in lines:
            alike.setdefault(train_tokens.get(row, 0), []).append(results[row])
        noises = {tokens: pool(groups) for tokens, groups in alike.items()}
        noise = {row: noises[train_tokens.get(row, 0)] for row in lines}
        for i, row in enumerate(lines[1:], 1):
            found = compare(results[row], results[base], noise[row], noise[base])
            means[i, j] = found.nats
            tests[i, j] = found.p
    corrected = zip(tests, holm(list(tests.values())), strict=True)
    undecided = {place for place, p in corrected if not (math.isnan(p) or beyond_noise(p))}
    # The largest differences may be those of a row that went astray: they do not fade the others.
    sizes = np.abs(means[~np.isnan(means)])
    limit = max(0.05, 2 * np.quantile(sizes, 0.8)) if len(sizes) else 1.0
    shades = np.clip(means, -limit, limit)
    for place in undecided:
        shades[place] *= FADED
    look = {"cmap": DIVERGING, "vmin": -1.7 * limit, "vmax": 1.7 * limit}  # numbers stay readable
    sns.heatmap(shades, cbar=False, linewidths=1, linecolor="w", ax=axis, **look)
    for i, row in enumerate(lines):
        for j, band in enumerate(bands):
            text, color = _signed(means[i, j]), INK
            if row == base:
                text = f"{np.mean([_mean(each, band) for each in of_base.values()]):.2f}"
            elif (i, j) in undecided:
                color = GREY
            axis.text(j + 0.5, i + 0.5, text, ha="center", va="center_baseline", color=color)
    axis.set_yticks(np.arange(len(lines)) + 0.5, labels, rotation=0)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    total = sum(tokens for _, tokens in first.values())
    heads = [f"{_range(bands, j)}\n{first[band][1] / total:.0%}" for j, band in enumerate(bands)]
    axis.set_xticks(np.arange(len(bands)) + 0.5, heads, fontsize=scaled(6))
    axis.xaxis.tick_top()


def _mean(bands: dict[int, list], band: int) -> float:
    nats, tokens = bands.get(band, (math.nan, 1))
    return nats / tokens


def _signed(value: float) -> str:
    """Two digits and a sign in print, none for zero; a dash for what is not known."""
    text = number(value, "{:+.2f}")
    return text[1:] if text[1:] == "0.00" else text


def _range(bands: list[int], which: int) -> str:
    """A band in a few characters: 10–99, 1k–10k, and for the last one ≥ 10k."""
    low, high = bands[which], bands[which + 1] if which + 1 < len(bands) else None
    thousands = f"{low // 1000}k" if low >= 1000 else str(low)
    if high is None:
        return f"\N{GREATER-THAN OR EQUAL TO} {thousands}"
    return f"{thousands}\N{EN DASH}" + (f"{high // 1000}k" if low >= 1000 else str(high - 1))
