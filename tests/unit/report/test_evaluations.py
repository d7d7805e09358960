"""The runs and evaluations that rows consist of."""

from awd.report.evaluations import by_seed, evaluations_of, name_members, runs_of, trainings_of

RUNS = [{"seed": 1, "run": "a-s1"}, {"seed": 3, "run": "a-s3"}]
ROW = {"row": "a", "stage": "train", "method": "cache", "runs": RUNS}
KEYS = [("a-s1", "train", "cache"), ("a-s3", "train", "cache")]


def test_an_evaluation_is_of_a_run_after_a_stage_by_a_method():
    assert evaluations_of(ROW) == KEYS


def test_a_run_that_rows_share_is_one():
    other = ROW | {"method": "stream", "runs": [*RUNS, {"seed": 4, "run": "a-s4"}]}
    assert runs_of({"rows": [ROW, other]}) == {"a-s1", "a-s3", "a-s4"}


def test_an_ensemble_names_the_trainings_of_its_further_seeds():
    """In the order of seeds: those of the plan that are alike; another row has no members."""
    corpus = {"name": "ptb", "fingerprint": "f"}

    def run(seed, **changes):
        return {"spec": {"corpus": "ptb", "seed": seed, **changes}, "corpus": corpus}

    runs = {f"a-s{seed}": run(seed) for seed in (1, 2, 3, 4, 6)}
    runs["other-s2"] = run(2, hidden_size=7)
    items = [{"seed": 1, "run": "a-s1"}, {"seed": 2, "run": "a-s4"}]
    ensemble = ROW | {"method": "ensemble-3", "runs": [dict(item) for item in items]}
    plain = ROW | {"method": "stream", "runs": [dict(item) for item in items]}
    name_members({"rows": [ensemble, plain]}, runs)
    assert [item.get("members") for item in ensemble["runs"]] == [["a-s2", "a-s3"], ["a-s6"]]
    assert trainings_of(ensemble) == ["a-s1", "a-s2", "a-s3", "a-s4", "a-s6"]
    assert plain["runs"] == items
    assert trainings_of(plain) == ["a-s1", "a-s4"]


def test_seeds_without_a_value_are_left_out():
    assert by_seed(ROW, {KEYS[1]: 60.0, ("a-s1", "train", "stream"): 70.0}) == {3: 60.0}
