"""What must agree before two perplexities are compared."""

import json
from pathlib import Path

import pytest

import awd
from awd.evaluation.perplexity import reading_length
from awd.report.comparability import describe
from awd.runs.protocol import make_protocol
from awd.study.methods import make_method, parse_method
from awd.study.spec import RunSpec

RUNS = Path(awd.__file__).parents[1] / "results" / "runs"
SETTINGS = {"cache_window": 5, "cache_theta": 1, "cache_weight": 0.1}


def protocol_of(corpus, method="stream", **settings):
    spec = RunSpec(corpus="tiny", **settings)
    return make_protocol(spec, corpus, make_method(method, SETTINGS, ""), reading_length(spec, 1))


def test_a_record_says_all_there_is_to_say(corpus):
    assert protocol_of(corpus, "cache", bptt=20) == {
        "mode": "stream",
        "context": "left",
        "batch_size": 1,
        "carried_state": True,
        "eos_counted": False,  # this corpus has no lines
        "vocabulary": 12,
        "tokens": {"valid": 199, "test": 199},
        "chunk": 2000,
        "cache_window": 5,
        "cache_theta": 1.0,
        "cache_weight": 0.1,
    }


def test_models_and_methods_that_predict_the_same_words_alike_may_be_compared(corpus):
    same = [
        protocol_of(corpus),
        protocol_of(corpus, bptt=70, cell="gru"),
        protocol_of(corpus, "cache"),
        protocol_of(corpus, objective="both-directions"),
        protocol_of(corpus, attention_window=3),
    ]
    assert len({describe({"protocol": protocol}) for protocol in same}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "sentences"},
        {"context": "left and right"},
        {"batch_size": 10},
        {"carried_state": False},
        {"eos_counted": True},
        {"vocabulary": 13},
        {"tokens": {"valid": 199, "test": 198}},
    ],
)
def test_what_is_measured_otherwise_is_said_otherwise(corpus, change):
    plain = protocol_of(corpus)
    assert describe({"protocol": plain | change}) != describe({"protocol": plain})


def test_a_cloze_evaluation_is_called_what_it_is(corpus):
    assert "left and right context (pseudo-perplexity)" in describe(
        {"protocol": protocol_of(corpus, objective="cloze")}
    )


def test_records_from_before_there_was_a_protocol_are_comparable_with_new_ones():
    """Every one that is kept with the project: what they do not say was always so."""
    old = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RUNS.glob("ptb-*/*.*.json"))
        if "context" not in json.loads(path.read_text(encoding="utf-8"))["protocol"]
    ]
    assert old
    for record in old:
        spec = {**record["spec"], "corpus": "ptb"}
        new = make_protocol(RunSpec(**spec), Encoded(), parse_method(record["method"]), 35)
        assert describe(record) == describe({"protocol": new})


class Encoded:
    """Penn Treebank, as far as a protocol looks at it."""

    vocabulary = ("<eos>", *map(str, range(9_999)))
    valid, test = range(73_760), range(82_430)
