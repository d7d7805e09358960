"""The ensemble against the mean of whole distributions, in float64."""

import pytest
import torch

from awd.errors import InputError
from awd.evaluation.ensemble import ensemble_losses
from awd.evaluation.perplexity import stream_losses
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec

VOCABULARY = 11


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make_model(seed, vocabulary=VOCABULARY, **settings):
    torch.manual_seed(seed)
    settings = {"bptt": 6, "initialization": "uniform", "initial_range": 1.5} | settings
    spec = RunSpec(corpus="tiny", hidden_size=8, embedding_size=5, dropout_output=0.4, **settings)
    return LanguageModel(spec, vocabulary)


def make_models():
    """Kinds and chunk lengths that have nothing in common but the vocabulary."""
    return [
        make_model(1, tied=True),
        make_model(2, layers=2, bptt=9),
        make_model(3, cell="gru", tied=True, layers=2),
        make_model(4, cell="gru", bptt=4),
    ]


def make_stream(tokens=70):
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def slow_distributions(models, stream):
    """Mean distribution at each predicted position, (tokens - 1, vocabulary), in float64."""
    total = torch.zeros(len(stream) - 1, VOCABULARY, dtype=torch.float64)
    for model in models:
        model.eval()
        state = model.initial_state(1)
        for t in range(len(stream) - 1):
            output, _, state = model(stream[t].view(1, 1), state)
            logits = model.decoder_weight.double() @ output[0, 0].double() + model.bias.double()
            total[t] += torch.softmax(logits, 0)
    return total / len(models)


def test_matches_the_definition():
    """One number per model and token gives what averaging whole distributions gives."""
    models, stream = make_models(), make_stream()
    distributions = slow_distributions(models, stream)
    torch.testing.assert_close(distributions.sum(1), torch.ones(69, dtype=torch.float64))
    expected = -distributions.gather(1, stream[1:, None])[:, 0].log()
    found = ensemble_losses(models, stream)
    assert found.shape == (69,)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


def test_probabilities_sum_to_one():
    models, stream = make_models(), make_stream(20)
    losses = [
        ensemble_losses(models, torch.cat([stream, torch.tensor([word])]))[-1]
        for word in range(VOCABULARY)
    ]
    assert torch.stack(losses).neg().exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_one_model_is_itself():
    model, stream = make_model(1), make_stream()
    assert torch.equal(ensemble_losses([model], stream), stream_losses(model, stream)[:, 0])


def test_identical_models_are_one():
    model, stream = make_model(1), make_stream()
    found = ensemble_losses([model] * 5, stream)
    torch.testing.assert_close(found, stream_losses(model, stream)[:, 0], atol=1e-6, rtol=1e-6)


def test_never_worse_than_the_mean_loss():
    """Jensen: the mean probability's loss is at most the mean of losses, and order is nothing."""
    models, stream = make_models(), make_stream()
    found = ensemble_losses(models, stream)
    mean = torch.stack([stream_losses(model, stream)[:, 0] for model in models]).mean(0)
    assert (found <= mean + 1e-6).all()
    assert (found < mean - 0.01).any()
    torch.testing.assert_close(ensemble_losses(models[::-1], stream), found)


def test_improbable_words_do_not_underflow():
    """Losses of hundreds of nats, whose probabilities float32 cannot hold, stay finite."""
    models, stream = make_models(), make_stream()
    for model in models:
        model.bias.data[: VOCABULARY // 2] -= 400
    found = ensemble_losses(models, stream)
    assert found.isfinite().all()
    assert found.max() > 300


def test_vocabularies_must_agree():
    with pytest.raises(InputError, match="vocabular"):
        ensemble_losses([make_model(1), make_model(2, vocabulary=12)], make_stream())
    with pytest.raises(InputError, match="no model"):
        ensemble_losses([], make_stream())
