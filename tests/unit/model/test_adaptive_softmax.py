"""The adaptive softmax: a distribution over all words, ranked by how often they occur."""

import pytest
import torch

from awd.errors import InputError
from awd.model.adaptive_softmax import AdaptiveDecoder
from awd.model.language_model import LanguageModel
from awd.study.cost import parameters
from awd.study.spec import RunSpec, cutoffs, make_spec


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return AdaptiveDecoder(features=16, vocabulary=40)


def test_probabilities_of_all_words_sum_to_one(decoder):
    hidden = torch.randn(1, 16).expand(40, 16)
    losses = decoder.token_losses(hidden, torch.arange(40))
    torch.testing.assert_close((-losses).exp().sum(), torch.tensor(1.0))


def test_all_probabilities_are_those_of_single_words_and_of_torch(decoder):
    decoder.set_counts(torch.arange(40))
    hidden = torch.randn(3, 16)
    found = decoder.log_probabilities(hidden)
    for row, values in zip(hidden, found, strict=True):
        losses = decoder.token_losses(row.expand(40, -1), torch.arange(40))
        torch.testing.assert_close(values, -losses)
    torch.testing.assert_close(found, decoder.softmax.log_prob(hidden)[:, decoder.rank])


def test_frequent_words_come_into_the_head(decoder):
    counts = torch.arange(40)  # the last id is the most frequent
    decoder.set_counts(counts)
    assert decoder.rank[39] == 0
    assert decoder.rank[0] == 39
    in_head = decoder.rank < decoder.softmax.cutoffs[0]
    assert counts[in_head].min() > counts[~in_head].max()


def test_ranks_travel_with_the_weights(decoder):
    decoder.set_counts(torch.arange(40))
    other = AdaptiveDecoder(features=16, vocabulary=40)
    other.load_state_dict(decoder.state_dict())
    assert torch.equal(other.rank, decoder.rank)


@pytest.mark.parametrize("vocabulary", [500, 10_000, 33_278, 100_000])
def test_the_plan_counts_the_same_parameters(vocabulary):
    spec = RunSpec(corpus="ptb", hidden_size=64, embedding_size=64, softmax="adaptive")
    with torch.device("meta"):
        model = LanguageModel(spec, vocabulary)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameters(spec, vocabulary)
    assert model.adaptive.softmax.cutoffs == [*cutoffs(vocabulary), vocabulary]


def test_the_model_trains_and_evaluates_with_it():
    torch.manual_seed(0)
    spec = RunSpec(corpus="ptb", hidden_size=16, embedding_size=16, softmax="adaptive")
    model, tokens = LanguageModel(spec, 40), torch.randint(40, (6, 3))
    output = model(tokens, model.initial_state(3))
    loss = model.loss(output.dropped, tokens)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    torch.testing.assert_close(model.token_losses(output.dropped, tokens).mean(), loss.detach())


def test_it_cannot_be_tied():
    with pytest.raises(InputError, match="cannot be tied"):
        make_spec({"corpus": "ptb", "softmax": "adaptive", "tied": True}, "here")
