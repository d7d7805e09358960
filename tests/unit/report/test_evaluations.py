"""The runs and evaluations that rows consist of."""

from awd.report.evaluations import by_seed, evaluations_of, runs_of

RUNS = [{"seed": 1, "run": "a-s1"}, {"seed": 3, "run": "a-s3"}]
ROW = {"row": "a", "stage": "train", "method": "cache", "runs": RUNS}
KEYS = [("a-s1", "train", "cache"), ("a-s3", "train", "cache")]


def test_an_evaluation_is_of_a_run_after_a_stage_by_a_method():
    assert evaluations_of(ROW) == KEYS


def test_a_run_that_rows_share_is_one():
    other = ROW | {"method": "stream", "runs": [*RUNS, {"seed": 4, "run": "a-s4"}]}
    assert runs_of({"rows": [ROW, other]}) == {"a-s1", "a-s3", "a-s4"}


def test_seeds_without_a_value_are_left_out():
    assert by_seed(ROW, {KEYS[1]: 60.0, ("a-s1", "train", "stream"): 70.0}) == {3: 60.0}
