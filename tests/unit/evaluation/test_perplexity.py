"""Perplexity as it is defined, on models whose answer is known."""

import math
from itertools import pairwise

import pytest
import torch

from awd.evaluation.perplexity import mean_loss, perplexity, stream_losses
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec


def model_of(**settings):
    torch.manual_seed(0)
    return LanguageModel(RunSpec(corpus="ptb", hidden_size=8, embedding_size=8, **settings), 13)


def test_a_uniform_model_has_the_vocabulary_as_perplexity():
    model = model_of()
    for parameter in model.parameters():
        parameter.data.zero_()
    losses = stream_losses(model, torch.randint(13, (200,)))
    assert perplexity(mean_loss(losses)) == pytest.approx(13, rel=1e-6)


def test_every_token_but_the_first_is_predicted_once():
    assert stream_losses(model_of(bptt=7), torch.randint(13, (100,))).shape == (99, 1)
    assert stream_losses(model_of(bptt=7), torch.randint(13, (100,)), 4).shape == (24, 4)


def test_chunk_length_does_not_change_a_causal_models_losses():
    stream = torch.randint(13, (100,))
    short, long = (stream_losses(model_of(bptt=bptt), stream) for bptt in (3, 50))
    torch.testing.assert_close(short, long)


def test_losses_are_those_of_the_step_by_step_definition():
    model, stream = model_of(), torch.randint(13, (20,))
    state, expected = model.initial_state(1), []
    for token, target in pairwise(stream):
        output, _, state = model(token.view(1, 1), state)
        logits = output[0, 0] @ model.decoder_weight.t() + model.bias
        expected.append(-logits.log_softmax(0)[target])
    torch.testing.assert_close(stream_losses(model, stream)[:, 0], torch.stack(expected))


def test_evaluation_leaves_the_model_training():
    model = model_of(dropout_output=0.5)
    assert torch.equal(*(stream_losses(model, torch.arange(13)) for _ in range(2)))
    assert model.training


def test_perplexity_of_hopeless_losses_is_infinite():
    assert perplexity(1000.0) == math.inf
    assert perplexity(math.nan) == math.inf
