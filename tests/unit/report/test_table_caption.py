"""The caption of a table counts what there is."""

import pandas as pd
from table_study import study

from awd.report.tables.build import order_agreement
from awd.report.tables.markdown import markdown


def test_the_caption_counts_pairs_in_published_order(tmp_path):
    """By test perplexity or else validation; no ties in print, no leaks, no other corpus."""
    frame = pd.DataFrame(
        {
            "suite": "study",
            "corpus": ["ptb"] * 5 + ["wikitext-2"],
            "status": ["done", "partial", "done", "leaks", "done", "done"],
            "incomparable": None,
            "published_valid": [60.0, 70.0, 65.0, 50.0, float("nan"), 10.0],
            "published_test": [58.0, 68.0, float("nan"), 40.0, 58.0, 9.0],
            "valid": [100.0, 90.0, 110.0, 1.0, 99.0, 5.0],
            "test": [95.0, 96.0, 105.0, 1.0, 94.0, 4.0],
        }
    )
    # first-second by test: yes; first-third by valid: yes; second-third by valid: no;
    # first-fifth: equal in print; second-fifth by test: yes; third-fifth: nothing in common
    assert order_agreement(frame) == (3, 4)
    suite, table = study(tmp_path)
    agree, pairs = order_agreement(table)
    assert pairs == 28 + 28, "of nine rows one is missing, and one diverged"
    text = markdown(table, suite, "paper")
    assert f"Order: {agree} of {pairs} pairs of rows stand as published." in text


def test_partial_results_say_what_is_missing(tmp_path):
    """In the caption, beside the state of each row."""
    suite, table = study(tmp_path, skip=("minus-nt-asgd",))
    assert "Not complete: of 18 rows, 3 missing." in markdown(table, suite, "paper")
