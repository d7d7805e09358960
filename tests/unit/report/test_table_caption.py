"""The caption of a table counts what there is."""

import pandas as pd
from table_study import study

from awd.report.tables.build import order_agreement
from awd.report.tables.markdown import markdown


def agreement(frame: pd.DataFrame) -> tuple[int, int]:
    return order_agreement(frame.to_dict("records"))[:2]


def test_the_caption_counts_pairs_in_published_order(tmp_path):
    """By test perplexity or else validation; no ties in print, no leaks, no other corpus."""
    frame = pd.DataFrame(
        {
            "suite": "study",
            "corpus": ["ptb"] * 5 + ["wikitext-2"],
            "train_tokens": 0,
            "status": ["done", "partial", "done", "leaks", "done", "done"],
            "incomparable": None,
            "left_out": None,
            "published_valid": [60.0, 70.0, 65.0, 50.0, float("nan"), 10.0],
            "published_test": [58.0, 68.0, float("nan"), 40.0, 58.0, 9.0],
            "valid": [100.0, 90.0, 110.0, 1.0, 99.0, 5.0],
            "test": [95.0, 96.0, 105.0, 1.0, 94.0, 4.0],
            "noise_valid": float("nan"),
            "noise_test": float("nan"),
            "noise_freedom": float("nan"),
        }
    )
    # By test: first-second yes; first-fifth equal in print; second-fifth yes. The third has none.
    assert agreement(frame) == (2, 2)
    noisy = frame.assign(noise_test=0.1, noise_freedom=4.0)
    assert agreement(noisy) == (0, 0), "published closer than two trainings may be"
    astray = frame.assign(left_out=["astray", *[None] * 5])
    assert agreement(astray) == (2, 2), "without a known noise nothing is left out of it"
    steady = astray.assign(noise_test=0.001, noise_freedom=4.0)
    assert agreement(steady) == (1, 1), "second-fifth: the first has another noise"
    by_valid = agreement(frame.assign(published_test=float("nan")))
    assert by_valid == (3, 1), "first-second no, first-third yes, second-third no"
    parts = frame.assign(train_tokens=[0, 9, 0, 0, 0, 0])
    assert agreement(parts) == (0, 0), "the second trains on less text"
    suite, table = study(tmp_path)
    found = order_agreement(table.to_dict("records"))
    assert found.pairs == 28 + 28, "of nine rows one is missing, and one diverged"
    text = markdown(table, suite, "paper")
    assert f"Order: {found.agree} of {found.pairs} pairs of rows stand as published" in text
    assert "Kendall's τ" in text


def test_rows_may_differ_in_their_number_of_seeds(tmp_path):
    suite, table = study(tmp_path)
    assert "; 1 seed." in markdown(table, suite, "paper")
    row = suite["rows"][0]
    row["runs"] = row["runs"] * 3
    assert "; 1 to 3 seeds." in markdown(table, suite, "paper")


def test_partial_results_say_what_is_missing(tmp_path):
    """In the caption, beside the state of each row."""
    suite, table = study(tmp_path, skip=("minus-nt-asgd",))
    assert "Not complete: of 18 rows, 3 missing." in markdown(table, suite, "paper")
