"""A search is a fixed sequence of trials within the ranges that a suite declares."""

from collections import Counter

import pytest

from awd.errors import InputError
from awd.study import tuning
from awd.study.spec import make_spec
from awd.study.suite import Scale
from awd.study.tuning import Choice, Range
from awd.study.validation import validate

SPACE = {
    "learning_rate": Range(low=0.1, high=10.0, log=True),
    "dropout_output": Range(low=0.0, high=0.5),
    "layers": Range(low=1, high=3),
    "hidden_size": Range(low=10, high=1000, log=True),
    "tied": [True, False],
}


def test_a_trial_is_the_same_everywhere_and_whatever_else_is_searched():
    """Written down: other numbers would be other runs."""
    trial = tuning.draw(SPACE, 1)
    assert trial == {
        "dropout_output": 0.359,
        "hidden_size": 85,
        "layers": 1,
        "learning_rate": 0.365,
        "tied": True,
    }
    for key, what in SPACE.items():
        assert tuning.draw({key: what}, 1) == {key: trial[key]}
    assert tuning.draw(SPACE, 2) != trial


def test_draws_cover_their_range_evenly():
    """Whole numbers with both ends; with log, as many in each factor of ten."""
    trials = [tuning.draw(SPACE, number) for number in range(1, 3001)]
    assert {tuple(sorted(trial)) for trial in trials} == {tuple(sorted(SPACE))}
    for key, share in (("layers", 1 / 3), ("tied", 1 / 2)):
        counts = Counter(trial[key] for trial in trials)
        assert set(counts) == ({1, 2, 3} if key == "layers" else {True, False})
        assert all(abs(count / 3000 - share) < 0.04 for count in counts.values())
    for key, middle in (("learning_rate", 1.0), ("dropout_output", 0.25), ("hidden_size", 100)):
        values = [trial[key] for trial in trials]
        assert SPACE[key].low <= min(values) < max(values) <= SPACE[key].high
        assert abs(sum(value < middle for value in values) / 3000 - 0.5) < 0.04
        assert all(float(f"{value:.3g}") == value for value in values if key != "hidden_size")
    assert all(type(trial["hidden_size"]) is int for trial in trials)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"learning_rat": [1, 2]},
            "no hyperparameter 'learning_rat'; did you",
        ),
        ({"learning_rate": {"low": 2, "high": 1}}, "low must be below high, not 2 and 1"),
        (
            {"learning_rate": {"low": 0, "high": 1, "log": True}},
            "low must be more than 0 where",
        ),
        ({"learning_rate": {"low": 1}}, "'high' is missing"),
        ({"learning_rate": {"low": 1, "high": 2, "lg": True}}, "unknown key 'lg'"),
        ({"dropout_output": {"low": 0, "high": 1}}, "dropout_output must be below 1, not 1"),
        ({"layers": {"low": 1, "high": 2.5}}, "layers must be a whole number, not 2.5"),
        ({"tied": {"low": 0, "high": 1}}, "tied must be true or false, not 0"),
        ({"cell": ["lstm", "gruu"]}, "no 'gruu'; did you mean 'gru'?"),
        ({"layers": []}, "must not be empty"),
        ({"layers": [1, 1]}, "holds the same twice"),
        ({"finetune_epochs": [1, 2]}, "finetune_epochs cannot be searched: trials are not fine"),
    ],
)
def test_a_mistake_in_the_ranges_is_one_sentence(space, said):
    with pytest.raises(InputError) as caught:
        validate(Scale, {"corpora": ["ptb"], "tuning": space}, "here")
    assert str(caught.value).startswith("here: ")
    assert "tuning" in str(caught.value)
    assert said in str(caught.value)


def test_another_range_text_or_fixed_setting_is_another_search():
    spec = make_spec({"corpus": "ptb", "learning_rate": 3}, "test")
    space = {"learning_rate": SPACE["learning_rate"]}
    usual = tuning.identity(space, spec, "f" * 64)
    assert usual == tuning.identity(dict(space), spec.changed(learning_rate=9.0), "f" * 64)
    others = {
        tuning.identity(space, spec.changed(epochs=3), "f" * 64),
        tuning.identity(space, spec, "e" * 64),
        tuning.identity({"learning_rate": Range(low=0.1, high=9.0)}, spec, "f" * 64),
        tuning.identity(space | {"tied": [True, False]}, spec, "f" * 64),
    }
    assert len(others | {usual}) == 5


def test_choices_are_written_and_read(tmp_path, monkeypatch):
    """By corpus and row; without a file there are none; a mistake has its place."""
    monkeypatch.setattr(tuning, "TUNING", tmp_path / "tuning")
    assert tuning.read_choices("mine", "small") == {}
    chosen = Choice(
        search="0123abcd",
        trials=20,
        trial=7,
        valid_perplexity=61.5,
        set={"learning_rate": 1.2e-5, "tied": True, "cell": "gru", "layers": 2},
    )
    choices = {"ptb": {"full": chosen}}
    path = tuning.write_choices("mine", "small", choices)
    assert path == tmp_path / "tuning/mine-small.yaml"
    assert tuning.read_choices("mine", "small") == choices
    (note,) = tuning.notes("mine", "small", choices)
    assert "layers, learning_rate, tied of row 'full' on ptb" in note
    assert "among 20 trials of a random search (workflow/tuning/mine-small.csv)" in note
    path.write_text(path.read_text().replace("trials: 20", "trials: 0"))
    with pytest.raises(InputError, match=r"mine-small.yaml: corpora\.ptb\.full\.trials must"):
        tuning.read_choices("mine", "small")
