"""How often do intervals cover, and do whole tables raise false alarms? Simulated studies.

    python benchmarks/coverage.py [--studies 2000]

Writes coverage.csv and coverage.md beside this file. Deviations are in nats: of a training, of a
row on a block of the text, of a training on a block. In the design "unequal noise" the deviation
of a row's trainings differs up to a factor of four. ``paired`` pairs trainings by their seed and
pools nothing. Power is the share of rows found, after correction, that truly differ by 3%.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import chdtr, stdtrit
from tabulate import tabulate

from awd.report.stats import Noise, Result, compare, holm, pool

BLOCKS = 30
TOKENS = np.full(BLOCKS, 1_000.0)
EFFECT = 0.03
UNEQUAL = (0.5, 0.5, 0.7, 0.7, 1, 1, 1.4, 2, 2, 1)
USUAL = (0.007, 0.02, 0.01)
DESIGNS = {
    "1 seed a row, 2 of the base row": ([1] * 9 + [2], USUAL, None),
    "1 seed a row, 3 of the base row": ([1] * 9 + [3], USUAL, None),
    "the same, much text": ([1] * 9 + [3], (0.002, 0.04, 0.01), None),
    "the same, little text": ([1] * 9 + [3], (0.007, 0.005, 0.005), None),
    "the same, unequal noise": ([1] * 9 + [3], USUAL, UNEQUAL),
    "1 seed a row, 3 of four more base rows": ([1] * 9 + [3, 3, 3, 3, 3], USUAL, None),
    "2 seeds": ([2] * 10, USUAL, None),
    "3 seeds": ([3] * 10, USUAL, None),
    "3 seeds, much interaction": ([3] * 10, (0.003, 0.02, 0.03), None),
    "3 seeds, unequal noise": ([3] * 10, USUAL, UNEQUAL),
    "5 seeds": ([5] * 10, USUAL, None),
    "1 to 5 seeds": ([1, 1, 2, 3, 5, 1, 4, 2, 1, 3], USUAL, None),
}


def simulate(generator, seeds, deviations, scales, effects) -> list[list[Result]]:
    """Trainings of each row; those after the tenth row are of other studies."""
    training, text, both = deviations
    rows = []
    for number, count in enumerate(seeds):
        of_row = 4.6 + text * generator.standard_normal(BLOCKS) + effects[number]
        scale = scales[number] if scales else 1.0
        losses = (
            of_row
            + scale * training * generator.standard_normal((count, 1))
            + both * generator.standard_normal((count, BLOCKS))
        )
        rows.append([Result(float(each.mean()), TOKENS, each * TOKENS) for each in losses])
    return rows


def dunnett(p_values, freedom, share, draws) -> list[float]:
    """Step-down Dunnett: correlation ``share``, normal ``draws`` (draws, rows + 1)."""
    correlated = np.sqrt(share) * draws[:, :1] + np.sqrt(1 - share) * draws[:, 1:]
    order = np.argsort(p_values)
    tops = np.maximum.accumulate(np.abs(correlated)[:, order[::-1]], axis=1)[:, ::-1]
    corrected, least = np.empty(len(order)), 0.0
    for place, top in zip(order, tops.T, strict=True):
        critical = -stdtrit(freedom, p_values[place] / 2)
        least = max(least, float(chdtr(freedom, freedom * (top / critical) ** 2).mean()))
        corrected[place] = least
    return corrected.tolist()


def paired(row: list[Result], base: list[Result]):
    """The difference with the noise of pairs of equal seeds."""
    row, base = (
        [result._replace(run=str(seed)) for seed, result in enumerate(rows)] for rows in (row, base)
    )
    return compare(row, base, Noise())


def measure(name: str, studies: int) -> dict:
    """Coverage, width, false alarms and power of one design."""
    seeds, deviations, scales = DESIGNS[name]
    generator = np.random.default_rng(0)
    rows_of_table = 9
    draws = generator.standard_normal((2_000, rows_of_table + 1))
    covered, widths, pairs, pair_widths = [], [], [], []
    hits = {"holm": [], "dunnett": []}
    alarms = {"holm": 0, "dunnett": 0}
    for number in range(2 * studies):
        differ = number % 2  # every second study: a third of the rows truly differ
        effects = np.zeros(len(seeds))
        effects[: rows_of_table // 3] = EFFECT * differ
        groups = simulate(generator, seeds, deviations, scales, effects)
        rows, base = groups[:rows_of_table], groups[rows_of_table]
        noise = pool(groups)
        found = [compare(row, base, noise) for row in rows]
        p_values = [each.p for each in found]
        # The base row's share of the variance is what two differences have in common.
        share = np.mean([len(row) / (len(row) + len(base)) for row in rows])
        freedom = max(each.freedom for each in found)
        corrected = {"holm": holm(p_values), "dunnett": dunnett(p_values, freedom, share, draws)}
        for method, values in corrected.items():
            if differ:
                hits[method] += [value < 0.05 for value in values[: rows_of_table // 3]]
            else:
                alarms[method] += min(values) < 0.05
        inside = [e.low <= effect <= e.high for e, effect in zip(found, effects, strict=False)]
        covered.append(np.mean(inside))
        widths += [each.high - each.low for each in found]
        for row, effect in zip(rows, effects, strict=False):
            if len(row) == len(base) > 1:
                each = paired(row, base)
                pairs.append(each.low <= effect <= each.high)
                pair_widths.append(each.high - each.low)
    return {
        "design": name,
        "freedom": noise.freedom,
        "coverage": np.mean(covered),
        "error": np.std(covered) / np.sqrt(len(covered)),
        "width": np.mean(widths),
        "coverage_paired": np.mean(pairs) if pairs else np.nan,
        "width_paired": np.mean(pair_widths) if pairs else np.nan,
        **{f"alarms_{method}": count / studies for method, count in alarms.items()},
        **{f"power_{method}": np.mean(values) for method, values in hits.items()},
    }


def main() -> None:
    """Simulate every design and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2_000, help="with and without effects each")
    studies = parser.parse_args().studies
    frame = pd.DataFrame([measure(name, studies) for name in DESIGNS])
    here = Path(__file__).with_suffix("")
    frame.to_csv(f"{here}.csv", index=False, float_format="%.5f")
    shown = pd.DataFrame({"design": frame["design"], "freedom": frame["freedom"]})
    for name, column in {
        "coverage": "coverage",
        "paired by seed": "coverage_paired",
        "false alarms, Holm": "alarms_holm",
        "Dunnett": "alarms_dunnett",
        "found, Holm": "power_holm",
        "found, Dunnett": "power_dunnett",
    }.items():
        shown[name] = [f"{100 * value:.1f}%" if value == value else "" for value in frame[column]]
    for name, column in {"width": "width", "width, paired": "width_paired"}.items():
        shown[name] = [f"{100 * value:.1f}%" if value == value else "" for value in frame[column]]
    text = tabulate(
        shown, headers="keys", tablefmt="github", showindex=False, disable_numparse=True
    )
    Path(f"{here}.md").write_text(
        f"# Coverage of intervals\n\n{studies} simulated tables of nine rows without true "
        f"differences, and {studies} in which three rows differ by {100 * EFFECT:.0f}%, per "
        f"design; made by `python benchmarks/coverage.py --studies {studies}`. *Freedom*: degrees "
        "of freedom of the noise of training. *Coverage*: share of 95% intervals that hold the "
        "true difference (standard error at most "
        f"{100 * frame['error'].max():.1f}%). *False alarms*: share of tables without differences "
        "in which at least one row seems to differ (corrected p below 0.05). *Found*: share of the "
        "rows that differ. *Width*: mean width of the intervals.\n\n" + text + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
