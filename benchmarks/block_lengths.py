"""Measure how the standard error of a perplexity difference depends on the length of blocks.

    python benchmarks/block_lengths.py ROW.npz BASE.npz [...]

Each pair of files contains evaluations of the same corpus
(results/runs/{run}/{stage}.{method}.npz). Prints one line of csv per number of blocks: the
standard error of awd.report.stats, relative to that of single tokens. Where it stops growing,
blocks are long enough to be independent. block_lengths-small.csv has the results for `merity2018`
at scale small, each row against the base row.
"""

import sys

import numpy as np

COUNTS = (400, 200, 100, 60, 40, 30, 20, 10)


def standard_error(row: np.ndarray, base: np.ndarray, blocks: int) -> float:
    """Return that of exp(mean row) - exp(mean base), from ``blocks`` blocks of nats (tokens)."""
    moved = np.exp(row.mean()) * (row - row.mean()) - np.exp(base.mean()) * (base - base.mean())
    edges = np.linspace(0, len(row), blocks, endpoint=False).astype(int)
    sums = np.add.reduceat(moved, edges) / len(row)
    return float(np.sqrt((sums**2).sum() * blocks / (blocks - 1)))


def main(paths: list[str]) -> None:
    """Print the csv."""
    print("split,blocks,tokens_per_block,relative_standard_error")
    for split in ("valid", "test"):
        pairs = [
            [np.load(path)[split].astype(np.float64) for path in pair]
            for pair in zip(paths[::2], paths[1::2], strict=True)
        ]
        tokens = len(pairs[0][0])
        for blocks in COUNTS:
            ratios = [
                standard_error(row, base, blocks) / standard_error(row, base, tokens)
                for row, base in pairs
            ]
            print(f"{split},{blocks},{tokens // blocks},{np.mean(ratios):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
