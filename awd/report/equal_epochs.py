"""Unfinished and shortened trainings beside published curves, at equal epochs."""

import numpy as np
import pandas as pd

from awd.report.published_curves import curve_of
from awd.report.remarks import AtEpoch

COLUMNS = [
    *("suite", "row", "corpus", "stage", "epoch"),
    *("valid_perplexity", "published", "deviation", "unfinished"),
]


def equal_epochs(
    suite: dict, curves: pd.DataFrame, published: pd.DataFrame
) -> tuple[pd.DataFrame, dict[tuple[str, str], AtEpoch]]:
    """Set the curves of a suite's rows beside the published ones, epoch by epoch.

    Returns a frame with COLUMNS, and by row and corpus the last shared epoch of each unfinished
    row. In the frame validation perplexity is that of the mean loss over seeds, of epochs that
    every seed has that began; ``deviation`` is it over the published one, minus 1; ``unfinished``
    means that the published curve has more epochs. Rows without a published curve of their stage
    and corpus are left out.

    Args:
        suite: an entry of the plan's ``suites``.
        curves: the frame of report.records.
        published: that of report.published_curves.
    """
    parts, unfinished = [pd.DataFrame(columns=COLUMNS)], {}
    for row in suite["rows"] if len(published) else ():
        theirs = curve_of(published, [row["row"]], row["corpus"], row["stage"])
        theirs = theirs.set_index("epoch")["valid_perplexity"]
        runs = {item["run"] for item in row["runs"]}
        lines = curves[curves["run"].isin(runs) & (curves["stage"] == row["stage"])]
        if theirs.empty or lines.empty:
            continue
        losses = np.log(lines.pivot(index="epoch", columns="run", values="valid_perplexity"))
        own = np.exp(losses.mean(axis=1, skipna=False)).dropna()
        shared = own.index.intersection(theirs.index)
        place = {"suite": suite["suite"], **{key: row[key] for key in ("row", "corpus", "stage")}}
        frame = pd.DataFrame({"epoch": shared, "valid_perplexity": own[shared].to_numpy()})
        frame["published"] = theirs[shared].to_numpy()
        frame["deviation"] = frame["valid_perplexity"] / frame["published"] - 1
        frame["unfinished"] = bool(len(own)) and own.index.max() < theirs.index.max()
        parts.append(frame.assign(**place)[COLUMNS])
        if frame["unfinished"].any():
            at, value, expected = frame[["epoch", "valid_perplexity", "published"]].iloc[-1]
            last = AtEpoch(int(at), int(theirs.index.max()), float(value), float(expected))
            unfinished[row["row"], row["corpus"]] = last
    found = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    return found, unfinished
