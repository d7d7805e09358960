"""Test perplexities of rows by seed."""

import pandas as pd

from awd.report.stats import mean_and_deviation


def seed_values(suite: dict, corpus: str, records: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Return the test perplexity of each row by seed, of the seeds that have one."""
    tests = records[records["split"] == "test"].dropna(subset="perplexity")
    found = tests.set_index(["run", "stage", "method"])["perplexity"].to_dict()
    return {
        row["row"]: {
            item["seed"]: found[key]
            for item in row["runs"]
            if (key := (item["run"], row["stage"], row["method"])) in found
        }
        for row in suite["rows"]
        if row["corpus"] == corpus
    }


def seed_differences(suite: dict, corpus: str, records: pd.DataFrame) -> dict[str, list[float]]:
    """Return each row's test perplexities, by seed, minus the base row's mean over its seeds.

    Empty lists if the base row has no result.
    """
    values = seed_values(suite, corpus, records)
    of_base = values.get(suite.get("base", ""), {})
    if not of_base:
        return {row: [] for row in values}
    base, _ = mean_and_deviation(list(of_base.values()))
    return {row: [value - base for value in by_seed.values()] for row, by_seed in values.items()}
