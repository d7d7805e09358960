"""Dynamic evaluation against its rule, written out weight tensor by weight tensor in float64."""

import pytest
import torch
from torch.nn.functional import log_softmax

from awd.errors import InputError
from awd.evaluation import dynamic
from awd.evaluation.dynamic import dynamic_losses, gradient_statistics
from awd.evaluation.perplexity import stream_losses
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec

VOCABULARY = 12
KINDS = [
    {"cell": "lstm", "tied": True},
    {"cell": "lstm", "tied": False},
    {"cell": "gru", "tied": True},
    {"cell": "gru", "tied": False},
]
RATES = {"learning_rate": 1e-2, "decay": 0.8, "epsilon": 1e-3}
"""At this decay the pull of some weights is capped and that of others is not: see the test."""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make_model(*, dropped=True, **settings):
    torch.manual_seed(5)
    if dropped:
        settings |= {"weight_drop": 0.5, "dropout_output": 0.4, "dropout_embedding": 0.2}
    settings = {"bptt": 7, "initialization": "uniform", "initial_range": 0.7} | settings
    spec = RunSpec(corpus="tiny", layers=2, hidden_size=8, embedding_size=6, **settings)
    return LanguageModel(spec, VOCABULARY)


def make_stream(tokens, seed=3):
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(seed))


def slow_step(model, tokens, targets, state):
    """Losses (time, batch), a gradient per parameter of their mean, next state; plain autograd."""
    model.eval()
    model.zero_grad()
    output, _, state = model(tokens, state)
    logits = output @ model.decoder_weight.t() + model.bias
    losses = -log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    losses.mean().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    return losses.detach(), gradients, [tuple(part.detach() for part in s) for s in state]


def slow_statistics(model, stream, batch_size, bptt):
    steps = len(stream) // batch_size
    rows = stream[: steps * batch_size].view(batch_size, steps).t()
    state, squares = model.initial_state(batch_size), []
    start = 0
    while start < steps - 2:
        end = min(start + bptt, steps - 1)
        _, gradients, state = slow_step(model, rows[start:end], rows[start + 1 : end + 1], state)
        squares.append([gradient**2 for gradient in gradients])
        start += bptt
    return [torch.stack(column).mean(0).sqrt() for column in zip(*squares, strict=True)]


def slow_losses(model, stream, rms, *, learning_rate, decay, epsilon, bptt):
    typical = sum(value.mean() for value in rms) / len(rms)
    trained = [parameter.detach().clone() for parameter in model.parameters()]
    state, losses = model.initial_state(1), []
    for start in range(0, len(stream) - 1, bptt):
        end = min(start + bptt, len(stream) - 1)
        tokens, targets = stream[start:end, None], stream[start + 1 : end + 1, None]
        scored, gradients, state = slow_step(model, tokens, targets, state)
        losses.extend(scored[:, 0])
        for w, w0, g, s in zip(model.parameters(), trained, gradients, rms, strict=True):
            norm = torch.minimum(s / typical, torch.tensor(1 / decay))
            w.data = w.data + decay * norm * (w0 - w.data) - learning_rate * g / (s + epsilon)
    return torch.stack(losses)


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_match_the_definition(kind):
    """State carried over chunks; a last shorter chunk counts like any other."""
    model, stream = make_model(**kind), make_stream(130)
    found = gradient_statistics(model, stream, batch_size=4, bptt=5)
    expected = slow_statistics(make_model(**kind).double(), stream, 4, 5)
    for (name, parameter), value in zip(model.named_parameters(), expected, strict=True):
        assert found[name].shape == parameter.shape
        assert not found[name].requires_grad
        assert value.any(), name
        torch.testing.assert_close(found[name].double(), value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("bptt", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_match_the_definition(kind, bptt):
    """Score, then learn, then pull back, with the cap; the last chunk is a single token."""
    model, stream = make_model(**kind), make_stream(62)
    statistics = gradient_statistics(model, make_stream(130, seed=4), batch_size=4)
    found = dynamic_losses(model, stream, statistics, **RATES, bptt=bptt)
    assert found.shape == (61,)
    assert found.dtype == torch.float32
    rms = [value.double() for value in statistics.values()]
    expected = slow_losses(make_model(**kind).double(), stream, rms, **RATES, bptt=bptt)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    plain = stream_losses(model, stream)[:, 0]
    assert (found - plain).abs().max() > 0.05


def test_rates_of_these_tests_reach_the_cap():
    statistics = gradient_statistics(make_model(), make_stream(130, seed=4), batch_size=4).values()
    typical = torch.stack([value.mean() for value in statistics]).mean()
    pulls = torch.cat([RATES["decay"] * value.flatten() / typical for value in statistics])
    assert (pulls > 1).any()
    assert (pulls < 1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_learning_is_the_model(kind):
    """With both rates zero only the chunks' length differs from plain evaluation."""
    model, stream = make_model(**kind), make_stream(80)
    statistics = gradient_statistics(model, stream, batch_size=4)
    still = {"learning_rate": 0, "decay": 0, "epsilon": 1e-5}
    found = dynamic_losses(model, stream, statistics, **still)
    torch.testing.assert_close(found, stream_losses(model, stream)[:, 0], atol=1e-6, rtol=1e-6)
    pulled = dynamic_losses(model, stream, statistics, **(still | {"decay": 0.5}))
    torch.testing.assert_close(pulled, found)


def test_scores_before_it_learns():
    """The first chunk's losses are the model's; losses never depend on what comes later."""
    model, stream = make_model(), make_stream(80)
    statistics = gradient_statistics(model, stream, batch_size=4)
    whole = dynamic_losses(model, stream, statistics, **RATES)
    plain = stream_losses(model, stream)[:, 0]
    torch.testing.assert_close(whole[:5], plain[:5], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(whole[5:10], plain[5:10], atol=1e-4)
    for tokens in (4, 6, 41):
        beginning = dynamic_losses(model, stream[:tokens], statistics, **RATES)
        torch.testing.assert_close(whole[: tokens - 1], beginning, atol=1e-5, rtol=1e-5)


def test_learns_a_repeated_text():
    """A text that repeats itself becomes easier as the evaluation goes on."""
    model, stream = make_model(), make_stream(10).repeat(20)
    statistics = gradient_statistics(model, make_stream(130, seed=4), batch_size=4)
    found = dynamic_losses(model, stream, statistics, learning_rate=1e-2, decay=1e-3, epsilon=1e-3)
    assert found[-50:].mean() < found[:50].mean() - 0.3


def test_dropout_takes_no_part():
    """Gradients are those of a model that has no dropout to begin with."""
    stream = make_stream(130)
    found = gradient_statistics(make_model(), stream, batch_size=4)
    expected = gradient_statistics(make_model(dropped=False), stream, batch_size=4)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_it_was(training, monkeypatch):
    """Bit for bit, with its gradients, mode and torch's settings; also when it fails halfway."""
    model, stream = make_model().train(training), make_stream(60)
    model.bias.grad = torch.ones_like(model.bias)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def check():
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert model.training is training
        assert torch.backends.cudnn.enabled
        assert torch.equal(model.bias.grad, torch.ones_like(model.bias))
        assert model.embedding.grad is None

    statistics = gradient_statistics(model, stream, batch_size=4)
    check()
    with torch.no_grad():
        losses = dynamic_losses(model, stream, statistics, **RATES)
        assert not losses.requires_grad
        assert not torch.is_grad_enabled()
    check()

    calls, score = [], dynamic._score

    def breaking_score(*arguments):
        calls.append(not torch.equal(model.embedding, before["embedding"]))
        if len(calls) == 4:
            raise BrokenError
        return score(*arguments)

    monkeypatch.setattr(dynamic, "_score", breaking_score)
    with pytest.raises(BrokenError):
        dynamic_losses(model, stream, statistics, **RATES)
    assert calls == [False, True, True, True]
    check()


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": -1.0}, {"decay": -0.1}, {"epsilon": 0.0}, {"decay": float("nan")}]
)
def test_values_out_of_range(wrong):
    model = make_model()
    statistics = gradient_statistics(model, make_stream(60), batch_size=4)
    with pytest.raises(InputError, match="at least 0"):
        dynamic_losses(model, make_stream(20), statistics, **(RATES | wrong))


def test_statistics_must_be_the_models():
    statistics = gradient_statistics(make_model(tied=True), make_stream(60), batch_size=4)
    with pytest.raises(InputError, match="another model"):
        dynamic_losses(make_model(tied=False), make_stream(20), statistics, **RATES)


def test_text_too_short_for_statistics():
    with pytest.raises(InputError, match="batch_size 100"):
        gradient_statistics(make_model(), make_stream(250))
