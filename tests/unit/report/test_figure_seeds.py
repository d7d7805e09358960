"""Perplexities by seed, and differences of the same seed."""

import pandas as pd
import pytest

from awd.report.figures.seeds import seed_differences, seed_values


def row(name, *seeds, corpus="ptb"):
    runs = [{"seed": seed, "run": f"{name}-s{seed}"} for seed in seeds]
    return {"row": name, "corpus": corpus, "stage": "train", "method": "stream", "runs": runs}


def records(**perplexities):
    """A line of the test text for each run, and one of the validation text."""
    lines = [
        {"run": run.replace("_", "-"), "split": split, "perplexity": value + (split == "valid")}
        for run, value in perplexities.items()
        for split in ("valid", "test")
    ]
    return pd.DataFrame(lines).assign(stage="train", method="stream")


SUITE = {
    "base": "full",
    "rows": [row("full", 1, 2), row("half", 1, 2, 3), row("full", 1, corpus="wikitext-2")],
}


def test_values_are_those_of_the_test_text_of_seeds_that_have_one():
    found = seed_values(SUITE, "ptb", records(full_s1=60.0, half_s1=70.0, half_s3=float("nan")))
    assert found == {"full": [60.0], "half": [70.0]}


def test_differences_are_to_the_mean_of_the_base_row():
    """Each seed of a row counts, also those that the base row lacks."""
    frame = records(full_s1=60.0, half_s1=70.0, half_s2=71.0, half_s3=72.0)
    assert seed_differences(SUITE, "ptb", frame) == {"full": [0.0], "half": [10.0, 11.0, 12.0]}


@pytest.mark.parametrize("base", ["other", None])
def test_without_a_base_row_there_are_no_differences(base):
    frame = records(full_s1=60.0, half_s1=70.0)
    assert seed_differences(SUITE | {"base": base}, "ptb", frame) == {"full": [], "half": []}
