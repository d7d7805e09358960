"""Test perplexities of rows by seed."""

import math

import pandas as pd

from awd.report.evaluations import by_seed
from awd.report.stats import mean_and_deviation


def seed_values(suite: dict, corpus: str, records: pd.DataFrame) -> dict[str, list[float]]:
    """Return the test perplexities of each row, of the seeds that have one."""
    tests = records[records["split"] == "test"].dropna(subset="perplexity")
    found = tests.set_index(["run", "stage", "method"])["perplexity"].to_dict()
    return {
        row["row"]: list(by_seed(row, found).values())
        for row in suite["rows"]
        if row["corpus"] == corpus
    }


def seed_differences(suite: dict, corpus: str, records: pd.DataFrame) -> dict[str, list[float]]:
    """Return each row's test perplexities minus the base row's mean over its seeds.

    Empty lists if the base row has no result.
    """
    values = seed_values(suite, corpus, records)
    base, _ = mean_and_deviation(values.get(suite.get("base", ""), []))
    if math.isnan(base):
        return {row: [] for row in values}
    return {row: [value - base for value in own] for row, own in values.items()}
