"""Test perplexities of rows by seed."""

import pandas as pd


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
    """Return each row's test perplexity minus the base row's, of the seeds that both have."""
    values = seed_values(suite, corpus, records)
    base = values.get(suite.get("base", ""), {})
    return {
        row: [value - base[seed] for seed, value in by_seed.items() if seed in base]
        for row, by_seed in values.items()
    }
