"""The leak check finds models that look ahead, and no others."""

import pytest
import torch

from awd.causality import first_leak
from awd.model import LanguageModel
from awd.spec import RunSpec


def model_of(**settings):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "embedding_size": 8, "layers": 2, "bptt": 12}
    return LanguageModel(RunSpec(corpus="ptb", **(sizes | settings)), 30)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [False, True])
def test_no_false_alarm_for_causal_models(cell, tied):
    regularised = {"weight_drop": 0.5, "dropout_output": 0.5, "dropout_embedding": 0.5}
    assert first_leak(model_of(cell=cell, tied=tied, **regularised)) is None


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_bidirectional_model_reads_the_next_word(cell):
    assert first_leak(model_of(cell=cell, bidirectional=True)) == 1


def test_a_leak_further_ahead_is_told_with_its_distance():
    model = model_of()
    forward = model.forward

    def peeking(tokens, state):
        output = forward(tokens, state)
        ahead = torch.zeros_like(output.dropped)
        ahead[:-3] = model.embedding[tokens[3:]] * 0.01
        return output._replace(dropped=output.dropped + ahead)

    model.forward = peeking
    assert first_leak(model) == 3


def test_the_check_leaves_the_model_as_it_was():
    model = model_of(dropout_output=0.5)
    before = [parameter.clone() for parameter in model.parameters()]
    first_leak(model)
    assert model.training
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
