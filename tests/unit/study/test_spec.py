"""A run is its hyperparameters: the same ones give the same name, whatever way they are written."""

import json
import re
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awd.errors import InputError
from awd.study import spec as spec_module
from awd.study.cost import parameters
from awd.study.spec import HYPERPARAMETERS, RunSpec, make_spec, parse_spec, without_defaults
from awd.study.validation import described

PRINT = "f" * 64
AWD = {
    "corpus": "ptb",
    "layers": 3,
    "hidden_size": 1150,
    "embedding_size": 400,
    "tied": True,
    "weight_drop": 0.5,
    "learning_rate": 30,
    "optimizer": "nt-asgd",
}


def run(**settings) -> str:
    return make_spec({**AWD, **settings}, "test").run(PRINT)


# identity -----------------------------------------------------------------------------------


def test_the_order_of_keys_does_not_matter():
    """Sorting a YAML file must not retrain anything."""
    assert make_spec(dict(reversed(AWD.items())), "test").run(PRINT) == run()


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("weight_decay", 0, 0.0),
        ("weight_decay", 0, -0.0),
        ("learning_rate", 30, 30.0),
        ("epochs", 40, 40.0),
        ("weight_decay", 1.2e-6, 0.0000012),
    ],
)
def test_a_number_may_be_written_in_any_way(key, one, other):
    """0 is 0.0 and 30 is 30.0, in the run's name and in its record."""
    first, second = (make_spec({**AWD, key: value}, "test") for value in (one, other))
    assert first.run(PRINT) == second.run(PRINT)
    assert json.dumps(first.as_dict()) == json.dumps(second.as_dict())


@pytest.mark.parametrize("name", [name for name in HYPERPARAMETERS if name != "corpus"])
def test_a_default_may_be_written_out(name):
    """Saying what holds anyway is no change."""
    default = HYPERPARAMETERS[name].default
    assert make_spec({"corpus": "ptb", name: default}, "test") == RunSpec(corpus="ptb")
    assert RunSpec(corpus="ptb").canonical() == '{"corpus":"ptb"}'


def test_a_new_hyperparameter_keeps_old_names():
    """Adding a field whose default is the old behaviour leaves every existing record valid."""

    class Later(RunSpec):
        zoneout: float = described("a later invention", 0.0)

    assert Later(**AWD).run(PRINT) == run()
    assert Later(**AWD, zoneout=0.1).run(PRINT) != run()


@pytest.mark.parametrize("name", list(HYPERPARAMETERS))
def test_every_hyperparameter_is_part_of_the_name(name):
    """No two trainings that differ may share a folder."""
    item, plain = HYPERPARAMETERS[name], {"corpus": "ptb"}
    if name == "corpus":
        other = "wikitext-2"
    elif item.annotation is bool:
        other = not item.default
    elif isinstance(item.default, str):
        other = next(choice for choice in get_args(item.annotation) if choice != item.default)
    elif item.annotation is int:
        other = item.default + 100
    else:
        other = item.default * 2 or 0.25
    changed = make_spec({**plain, name: other}, "test")
    assert changed.run(PRINT) != make_spec(plain, "test").run(PRINT)


def test_text_and_recipe_are_part_of_the_name(monkeypatch):
    """Another text, or code that trains otherwise, is another run."""
    before = run()
    assert make_spec(AWD, "test").run("e" * 64) != before
    monkeypatch.setattr(spec_module, "RECIPE", spec_module.RECIPE + 1)
    assert run() != before


def test_names_that_are_in_use_do_not_change():
    """Written down: a change here orphans every record that exists."""
    assert RunSpec(corpus="ptb").run(PRINT) == "ptb-lstm1x200-sgd-s1-df170f2910"
    assert run() == "ptb-lstm3x1150-nt-asgd-s1-6825d27302"


def test_the_name_says_what_the_run_is():
    """Corpus, cell, size, optimizer and seed can be read; ten digits tell the rest apart."""
    pattern = r"ptb-bigru3x1150-sgd-s7-[0-9a-f]{10}"
    assert re.fullmatch(pattern, run(cell="gru", bidirectional=True, optimizer="sgd", seed=7))


def test_the_command_line_form_comes_back():
    """What a rule passes to a job is what the plan meant."""
    spec = make_spec({**AWD, "weight_decay": 1.2e-6, "variable_bptt": True}, "test")
    assert parse_spec(spec.canonical()) == spec
    assert parse_spec(json.dumps(spec.as_dict())) == spec


@pytest.mark.parametrize("value", [30, 0.1, 1.2e-6, 5e-324, 1e15, 1e16, 1e22, 1e30, 1.7e308])
def test_numbers_of_any_size_reach_the_job(value):
    """What the plan accepted, the job must not refuse: a whole float is printed as an integer."""
    spec = make_spec({**AWD, "learning_rate": value}, "test")
    assert parse_spec(spec.canonical()) == spec
    assert parse_spec(spec.canonical()).run(PRINT) == spec.run(PRINT)


def test_a_changed_spec_is_checked():
    """A copy with other values is as good as a new spec."""
    spec = make_spec(AWD, "test")
    assert spec.changed(seed=2) == make_spec({**AWD, "seed": 2}, "test")
    with pytest.raises(InputError, match="layers must be at least 1"):
        spec.changed(layers=0)


def test_a_spec_cannot_be_changed_in_place():
    """Its name would no longer be its name."""
    with pytest.raises(ValueError, match="frozen"):
        make_spec(AWD, "test").seed = 2


@pytest.mark.parametrize("name", list(HYPERPARAMETERS))
def test_every_hyperparameter_has_a_meaning(name):
    assert HYPERPARAMETERS[name].description


# mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("layers", 0, "layers must be at least 1, not 0"),
        ("layers", 1.5, "layers must be a whole number, not 1.5"),
        ("layers", True, "layers must be a whole number, not True"),
        ("layers", "2", "layers must be a whole number, not '2'; write 2 without quotes"),
        ("layers", 10**12, "layers must be below 1000"),
        ("hidden_size", 10**400, "hidden_size must be "),
        ("learning_rate", 10**400, "learning_rate must be a number"),
        ("hidden_size", None, "hidden_size must be a whole number, not None"),
        ("tied", "yes", "tied must be true or false, not 'yes'"),
        ("tied", 1, "tied must be true or false, not 1"),
        ("cell", "lstn", "cell: no 'lstn'; did you mean 'lstm'?"),
        ("cell", 3, "cell: no 3; allowed: gru, lstm, rnn"),
        ("weight_drop", 1, "weight_drop must be below 1, not 1"),
        ("weight_drop", -0.1, "weight_drop must be at least 0, not -0.1"),
        ("dropout_input", float("nan"), "dropout_input must be a number, not nan"),
        ("learning_rate", float("inf"), "learning_rate must be a number, not inf"),
        ("weight_decay", "1e-6", "weight_decay must be a number, not '1e-6'; write 1e-6 without"),
        ("optimizer", "nt_asgd", "optimizer: no 'nt_asgd'; did you mean 'nt-asgd'?"),
        ("seed", -1, "seed must be at least 0, not -1"),
        ("bptt", 1, "bptt must be at least 2, not 1"),
        ("decay_factor", 0.5, "decay_factor must be at least 1, not 0.5"),
        ("hiden_size", 2, "no hyperparameter 'hiden_size'; did you mean 'hidden_size'?"),
        ("schedule", "non-monotonic", "schedule: 'non-monotonic' shares its trigger"),
        ("schedule", "cosine", "schedule: no 'cosine'; allowed: "),
        ("objective", "clozes", "objective: no 'clozes'; did you mean 'cloze'?"),
        ("attention_window", -1, "attention_window must be at least 0, not -1"),
    ],
)
def test_a_bad_value_is_one_sentence_with_its_field(key, value, said):
    """Where it was written comes first, then the field, then what is allowed."""
    with pytest.raises(InputError) as caught:
        make_spec({**AWD, key: value}, "suites/mine.yaml: row 'full'")
    sentence = str(caught.value)
    assert sentence.startswith("suites/mine.yaml: row 'full': ")
    assert said in sentence
    assert "\n" not in sentence


def test_both_directions_need_an_even_width():
    """Half the units read forwards, half backwards."""
    with pytest.raises(InputError, match="must be even, not 201"):
        make_spec({"corpus": "ptb", "bidirectional": True, "hidden_size": 201}, "test")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": "cloze", "hidden_size": 201}, "cloze: hidden_size .* must be even"),
        ({"objective": "cloze", "bidirectional": True}, "bidirectional layers would mix them"),
        ({"objective": "both-directions", "bidirectional": True}, "would mix them"),
        ({"objective": "cloze", "attention_window": 5}, "attention needs objective 'next-word'"),
        ({"reading": "sentences", "bidirectional": True}, "not go together with bidirectional"),
        ({"reading": "sentences", "objective": "cloze"}, "not go together with objective 'cloze'"),
        ({"reading": "sentences", "variable_bptt": True}, "not go together with variable_bptt"),
        ({"train_tokens": 59, "batch_size": 20}, "59 tokens are too few for batch_size 20"),
    ],
)
def test_what_does_not_go_together_is_said(settings, said):
    with pytest.raises(InputError, match=said):
        make_spec({"corpus": "ptb", **settings}, "test")


def test_the_name_says_what_is_asked_of_the_model():
    assert run(objective="cloze").startswith("ptb-cloze-lstm3x1150-")
    assert run(objective="both-directions").startswith("ptb-both-directions-lstm3x1150-")


def test_what_is_no_default_is_the_same_with_and_without_newer_hyperparameters():
    """A plan of an older version lacks them; other keys than hyperparameters stay."""
    whole = make_spec(AWD, "test").as_dict()
    older = {key: value for key, value in whole.items() if key != "train_tokens"}
    assert without_defaults(whole) == without_defaults(older)
    assert without_defaults({"clip": 0.25, "layers": 3, "other": 0}) == {"layers": 3, "other": 0}


def test_a_spec_needs_a_corpus():
    """There is no default text."""
    with pytest.raises(InputError, match="'corpus' is missing"):
        make_spec({}, "test")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"corpus": 1}', "[" * 100_000])
def test_a_spec_that_is_no_json_object_is_one_sentence(text):
    """The jobs of a workflow get theirs on the command line."""
    with pytest.raises(InputError):
        parse_spec(text)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["lstm", "nt-asgd", 0, 1, 2, 0.5, 30, 10**40, 1e30, 1e308, [], {}]),
)


@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.dictionaries(st.sampled_from(list(HYPERPARAMETERS)), VALUES))
def test_whatever_is_written_is_a_spec_or_an_input_error(values):
    """And a spec that was accepted survives the way to a job and back."""
    try:
        spec = make_spec({"corpus": "ptb", **values}, "test")
    except InputError:
        return
    assert parse_spec(spec.canonical()) == spec
    assert parameters(spec, 10_000) > 0
