"""What must agree before two perplexities are compared."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

import awd
from awd.evaluation.perplexity import reading_length
from awd.report.comparability import Protocol, measured_differently
from awd.runs.protocol import make_protocol
from awd.study.methods import make_method, parse_method
from awd.study.spec import RunSpec

RUNS = Path(awd.__file__).parents[1] / "results" / "runs"
SETTINGS = {"cache_window": 5, "cache_theta": 1, "cache_weight": 0.1}
USUAL = Protocol("stream", "left", 1, True, True, 10_000, 73_759, 82_429)
CHANGES = {
    "mode": "sentences",
    "context": "left and right",
    "batch_size": 10,
    "carried_state": False,
    "eos_counted": False,
    "vocabulary": 10_001,
    "valid_tokens": 73_758,
    "test_tokens": 82_428,
}


def protocol_of(corpus, method="stream", **settings):
    spec = RunSpec(corpus="tiny", **settings)
    return make_protocol(spec, corpus, make_method(method, SETTINGS, ""), reading_length(spec, 1))


def test_a_record_holds_the_whole_protocol(corpus):
    assert protocol_of(corpus, "cache", bptt=20) == {
        "mode": "stream",
        "context": "left",
        "batch_size": 1,
        "carried_state": True,
        "eos_counted": False,  # this corpus has no lines
        "vocabulary": 12,
        "tokens": {"valid": 199, "test": 199},
        "chunk": 2000,
        "settings": {"cache_window": 5, "cache_theta": 1.0, "cache_weight": 0.1},
    }


def test_models_and_methods_that_predict_the_same_words_alike_may_be_compared(corpus):
    same = [
        protocol_of(corpus),
        protocol_of(corpus, bptt=70, cell="gru"),
        protocol_of(corpus, "cache"),
        protocol_of(corpus, objective="both-directions"),
        protocol_of(corpus, attention_window=3),
    ]
    assert len(set(map(Protocol.from_record, same))) == 1
    cloze = Protocol.from_record(protocol_of(corpus, objective="cloze"))
    assert cloze.difference(Protocol.from_record(same[0])) == (("context", "left and right"),)


def test_every_field_is_tried():
    assert list(CHANGES) == [field.name for field in dataclasses.fields(Protocol)]


@pytest.mark.parametrize("field", CHANGES)
def test_a_difference_names_the_field_and_its_value(field):
    other = dataclasses.replace(USUAL, **{field: CHANGES[field]})
    assert other != USUAL
    assert other.difference(USUAL) == ((field, CHANGES[field]),)
    assert USUAL.difference((USUAL, other)) == ()


@pytest.mark.parametrize("field", ["batch_size", "vocabulary", "test_tokens"])
def test_what_is_not_known_differs_from_nothing(field):
    unknown = dataclasses.replace(USUAL, **{field: None})
    assert unknown.difference(USUAL) == USUAL.difference(unknown) == ()


def test_a_protocol_survives_json():
    assert Protocol.from_dict(json.loads(json.dumps(USUAL.as_dict()))) == USUAL


@pytest.mark.parametrize("change", [{"batch_size": "1"}, {"eos_counted": 1}, {"mode": True}])
def test_a_value_of_another_type_is_refused(change):
    with pytest.raises(TypeError, match=next(iter(change))):
        Protocol.from_dict(USUAL.as_dict() | change)


def test_records_of_every_age_are_comparable():
    """Every record of the project that reads from left to right has the protocol of today."""
    checked = 0
    for path in sorted(RUNS.glob("ptb-*/*.*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        spec = RunSpec(**{**record["spec"], "corpus": "ptb"})
        chunk = record["protocol"]["chunk"]
        now = make_protocol(spec, Encoded(), parse_method(record["method"]), chunk)
        assert record["protocol"] == now
        checked += 1
    assert checked


class Encoded:
    """Penn Treebank, as far as a protocol needs it."""

    vocabulary = ("<eos>", *map(str, range(9_999)))
    valid, test = range(73_760), range(82_430)


def study(*protocols):
    """A suite with a row per protocol, the first its base row, and records of them."""
    rows = [
        {
            "row": f"row-{number}",
            "corpus": "ptb",
            "stage": "train",
            "method": "stream",
            "runs": [{"seed": 1, "run": f"run-{number}"}],
        }
        for number in range(len(protocols))
    ]
    lines = [
        {"run": f"run-{number}", "stage": "train", "method": "stream", "protocol": protocol}
        for number, protocol in enumerate(protocols)
        if protocol != "missing"
    ]
    return {"base": "row-0", "rows": rows}, pd.DataFrame(lines)


def test_rows_differ_from_the_base_row_or_else_from_the_first_with_a_result():
    cloze = dataclasses.replace(USUAL, context="left and right")
    found = measured_differently(*study(USUAL, cloze, USUAL, None))
    assert found == {("row-1", "ptb"): (("context", "left and right"),)}
    found = measured_differently(*study("missing", cloze, USUAL))
    assert found == {("row-2", "ptb"): (("context", "left"),)}
    assert measured_differently(*study(None, USUAL)) == {}
