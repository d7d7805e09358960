"""Perplexity as it is defined, on models whose answer is known."""

import math
from itertools import pairwise

import pytest
import torch

from awd.evaluation.perplexity import (
    mean_loss,
    perplexity,
    sentence_losses,
    stream_losses,
    text_losses,
)
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


# line by line -------------------------------------------------------------------------------


def lines_of(number: int) -> list[list[int]]:
    """Lines of 0 to 11 words, each with its end, 0; some have nothing to predict."""
    lengths = torch.randint(12, (number,)).tolist()
    return [[*(torch.randint(12, (length,)) + 1).tolist(), 0] for length in lengths]


@pytest.mark.parametrize("settings", [{}, {"layers": 2, "cell": "gru"}, {"attention_window": 4}])
def test_sentences_are_read_by_themselves_in_the_order_of_the_text(settings):
    """As each line alone from a state of zeros, however many are read side by side."""
    model, lines = model_of(reading="sentences", **settings).train(), lines_of(400)
    text = torch.tensor([token for line in lines for token in line])
    losses = sentence_losses(model, text, 0)
    assert model.training, "the mode that it was in"
    alone = [stream_losses(model, torch.tensor(line)) for line in lines if len(line) > 1]
    torch.testing.assert_close(losses, torch.cat(alone))
    vocabulary = ["<eos>", *(f"w{number}" for number in range(12))]
    assert torch.equal(text_losses(model, text, vocabulary, 10), losses)


def test_other_texts_are_streams():
    text = torch.randint(13, (100,))
    found = text_losses(model_of(), text, ["w"] * 13, 4)
    assert torch.equal(found, stream_losses(model_of(), text, 4))
