"""What a figure draws of a row beside its epochs: its seeds, its cost."""

import math
import re

import pandas as pd

from awd.study.methods import parse_method


def seed_values(suite: dict, corpus: str, records: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Test perplexity of each row by seed, of those that have one."""
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
    """Test perplexity of each row minus that of the base row, of the seeds that both have."""
    values = seed_values(suite, corpus, records)
    base = values.get(suite.get("base"), {})
    return {
        row: [value - base[seed] for seed, value in by_seed.items() if seed in base]
        for row, by_seed in values.items()
    }


def ensemble_size(method: str) -> int:
    """How many trainings stand behind an evaluation."""
    return parse_method(method).settings.get("ensemble_size", 1)


def training_hours(row: dict, curves: pd.DataFrame, records: pd.DataFrame) -> tuple[float, str]:
    """Hours that training a row's weights took, the mean over its seeds, and of what: core, GPU.

    The stages that the row has are added up, and the members of an ensemble; validation after
    each epoch and the evaluation are left out. nan where no seed has finished its stage.
    """
    stages = ("train", "finetune") if row["stage"] == "finetune" else ("train",)
    runs = {item["run"] for item in row["runs"]}
    evaluated = records[records["run"].isin(runs) & (records["stage"] == row["stage"])]
    if evaluated.empty:
        return math.nan, ""
    lines = curves[curves["run"].isin(set(evaluated["run"])) & curves["stage"].isin(stages)]
    seconds = lines.groupby("run")["seconds"].sum().mean()
    seconds *= ensemble_size(row["method"])
    threads = re.search(r", (\d+) thread", str(evaluated["device"].iloc[0]))  # only a CPU has them
    if threads is None:
        return seconds / 3600, "GPU"
    return seconds / 3600 * int(threads[1]), "core"
