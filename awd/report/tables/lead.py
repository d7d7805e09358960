"""The best row of a study beside the second best."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from awd.report.noise import Pool
from awd.report.remarks import Ahead
from awd.report.stats import Noise, beyond_noise
from awd.report.tables.build import beats_frequencies, build, compared


class Lead(NamedTuple):
    """The row with the lowest test perplexity on a corpus, and the next, None if there is none.

    Both are lines of a frame. ``second`` has its difference from ``best``, with interval and p
    value, in place of that from the base row. The pair was chosen by its numbers, which makes no p
    value too small: the two lowest of several equal rows are closer to each other than two rows
    that were named before.
    """

    best: dict
    second: dict | None


def leads(
    suite: dict,
    frame: pd.DataFrame,
    records: pd.DataFrame,
    scale: str,
    planned: dict[str, dict],
    noises: Mapping[tuple[Pool, str], Noise],
) -> dict[str, Lead]:
    """Return the lead of each corpus of a suite on which a row has a value that counts.

    The arguments are those of `build`, and the ``frame`` that it returned. No lead has a row that
    is no better than word frequencies; a corpus whose best row is not has none.
    """
    found = {}
    for corpus, lines in frame.groupby("corpus", sort=False):
        counted = [line for line in lines.to_dict("records") if compared(line)]
        counted = sorted((line for line in counted if line["test"] > 0), key=lambda x: x["test"])
        if not counted or not beats_frequencies(counted[0]):
            continue
        best, *others = counted
        if not others or not beats_frequencies(others[0]):
            found[str(corpus)] = Lead(best, None)
            continue
        names = [best["row"], others[0]["row"]]
        rows = [row for row in suite["rows"] if row["corpus"] == corpus and row["row"] in names]
        pair = suite | {"base": best["row"], "rows": rows}
        two = build(pair, records, scale, planned, noises).to_dict("records")
        found[str(corpus)] = Lead(best, next(line for line in two if line["row"] == names[1]))
    return found


def remarked(suite: dict, frame: pd.DataFrame, found: Mapping[str, Lead]) -> pd.DataFrame:
    """Return the frame of a suite with a remark on each best row, where the noise is known.

    ``found`` are its `leads`. Where one of both is the base row, the other has this difference
    already.
    """
    seconds = {
        (corpus, best["row"]): second
        for corpus, (best, second) in found.items()
        if second is not None
        and not math.isnan(second["p_holm"])
        and suite["base"] not in (best["row"], second["row"])
    }
    remarks = []
    for line in frame.to_dict("records"):
        second = seconds.get((line["corpus"], line["row"]))
        remarks.append(line["remarks"] + ((_ahead(second),) if second else ()))
    return frame.assign(remarks=remarks)


def _ahead(second: dict) -> Ahead:
    delta, low, high = (second[f"delta_{part}"] for part in ("test", "low", "high"))
    p = second["p_holm"]
    return Ahead(second["label"], delta, low, high, p, beyond_noise(p))
