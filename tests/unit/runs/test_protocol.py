"""The record of an evaluation states the whole protocol."""

from dataclasses import replace

import pytest

from awd.runs.protocol import make_protocol
from awd.study.methods import parse_method
from awd.study.spec import RunSpec

KEYS = {"mode", "context", "batch_size", "carried_state", "eos_counted", "vocabulary", "tokens"}


@pytest.mark.parametrize(
    ("objective", "context"),
    [("next-word", "left"), ("both-directions", "left"), ("cloze", "left and right")],
)
def test_the_context_follows_the_objective(corpus, objective, context):
    spec = RunSpec(corpus="tiny", objective=objective)
    assert make_protocol(spec, corpus, parse_method("stream"), 35)["context"] == context


@pytest.mark.parametrize("words", [["w0", "w1"], ["w0", "<eos>"]])
def test_words_and_tokens_are_counted(corpus, words):
    corpus = replace(corpus, vocabulary=words)
    protocol = make_protocol(RunSpec(corpus="tiny"), corpus, parse_method("stream"), 35)
    assert protocol["vocabulary"] == 2
    assert protocol["eos_counted"] is ("<eos>" in words)
    assert protocol["tokens"] == {"valid": 199, "test": 199}


@pytest.mark.parametrize("method", ["stream", "cache-20-1-0.1", "ensemble-2"])
def test_settings_of_the_method_stand_apart_and_no_key_is_missing(corpus, method):
    method = parse_method(method)
    protocol = make_protocol(RunSpec(corpus="tiny"), corpus, method, 35)
    assert protocol.keys() == KEYS | {"chunk", "settings"}
    assert protocol["settings"] == method.settings
