"""Training and validation loss of each training, beside published curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from awd.report import words
from awd.report.equal_epochs import equal_epochs
from awd.report.figures.drawing import nothing, plot_lines
from awd.report.figures.grid import LOOKS, Panel, explain, panel_per_training
from awd.report.figures.style import GREY, PALE, scaled, styled
from awd.report.figures.traces import ASTRAY, Trace, settled_top
from awd.report.published_curves import curve_of
from awd.report.words import corpus_name
from awd.vocabulary import Stage


@styled
def draw(
    suite: dict,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    scale: str,
    published: pd.DataFrame,
    **_,
) -> Figure:
    """Training and validation loss, nats per token, over epochs: a panel per training.

    The panels of a corpus are a block. Published curves (report.published_curves) lie
    behind in grey. At other scales than `paper` they are context: those of the corpus that the
    row's published values belong to, each stage drawn to the length of the trace's. Losses beyond
    ASTRAY leave the panel, which then says how high they went.
    """
    drawn = panel_per_training(
        suite, curves, records, ("train", "valid"), "_loss", "loss (nats per token)"
    )
    if drawn is None:
        return nothing("No loss of this suite has been recorded yet.")
    figure, panels, corner, entries = drawn
    behind_of = set()
    found = equal_epochs(suite, curves, published)[1] if scale == "paper" else {}
    for panel in panels:
        for row in panel.trace.rows:
            if (at := found.get((row["row"], row["corpus"]))) is not None:
                title = panel.axis.get_title(loc="left")
                panel.axis.set_title(f"{title}\n{words.unfinished(at)}", fontsize=scaled(7))
        corpus, behind = _published_losses(panel.trace, published, scale)
        for split, values in behind.items():
            look = LOOKS[split] | {"color": PALE, "zorder": 1}
            frame = pd.DataFrame({"epoch": values.index, "value": values.to_numpy(), "line": split})
            plot_lines(panel.axis, frame, gid=f"published {split}", **look)
            behind_of.add(corpus)
        _limit_losses(panel, behind)
    if behind_of:
        names = " and ".join({"ptb": "PTB"}.get(c, corpus_name(c)) for c in sorted(behind_of))
        context = "" if scale == "paper" else f" ({names}, paper scale; epochs compressed)"
        entries.insert(2, Line2D([], [], color=PALE, lw=1.2, label=f"published{context}"))
    explain(figure, corner, entries)
    return figure


def _published_losses(
    trace: Trace, published: pd.DataFrame, scale: str
) -> tuple[str, dict[str, pd.Series]]:
    """The published losses to draw behind a trace, by split, and the corpus they are of."""
    corpus = trace.rows[0]["corpus"]
    if scale != "paper":
        entries = [entry for row in trace.rows for entry in row.get("published") or []]
        corpus = next((entry["corpus"] for entry in entries if entry.get("corpus")), corpus)
    behind: dict[str, list[pd.Series]] = {"train": [], "valid": []}
    ended = 0
    for stage in Stage:
        rows = [row["row"] for row in trace.rows if row["stage"] == stage]
        epochs_of = curve_of(published, rows, corpus, stage)
        epochs = epochs_of["epoch"].to_numpy(float) + ended
        if scale != "paper":
            if stage not in trace.stages:
                continue
            start = trace.trained if stage == Stage.FINETUNE else 0
            length = trace.stages[stage]["epoch"].max()
            epochs = np.linspace(start + 1, start + length, len(epochs))
        ended = int(epochs.max(initial=0))
        for split, parts in behind.items():
            parts.append(pd.Series(epochs_of[f"{split}_loss"].to_numpy(), index=epochs))
    found = {split: pd.concat(parts) for split, parts in behind.items() if parts}
    return corpus, {split: values for split, values in found.items() if len(values)}


def _limit_losses(panel: Panel, behind: dict[str, pd.Series]) -> None:
    curves = [*panel.shown.values(), *behind.values()]
    if not curves:
        panel.axis.set(xticks=[], yticks=[])
        return
    low = min(values.min() for values in curves)
    high = max(low + 0.1, min(ASTRAY, max(settled_top(values) for values in curves)))
    margin = 0.06 * (high - low)
    panel.axis.set_ylim(low - margin, high + margin)
    peaks = {
        who: max(values.max() for values in drawn.values())
        for who, drawn in (("", panel.shown), ("published ", behind))
        if drawn
    }
    if beyond := [f"{who}{peak:.0f}" for who, peak in peaks.items() if peak > ASTRAY]:
        panel.axis.annotate(
            "\N{UPWARDS ARROW} peak " + ",\n".join(beyond),
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="top",
            color=GREY,
            fontsize=scaled(6),
            zorder=6,
            bbox={"pad": 0.5, "lw": 0, "fc": "w"},
        )
