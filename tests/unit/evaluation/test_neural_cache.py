"""The cache against its definition: loops over positions and one-hot histories, in float64."""

import math

import pytest
import torch
from torch.nn.functional import one_hot
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from awd.errors import InputError
from awd.evaluation import neural_cache
from awd.evaluation.neural_cache import cache_losses, grid
from awd.evaluation.perplexity import mean_loss, perplexity, stream_losses
from awd.model.language_model import LanguageModel
from awd.study.spec import RunSpec

VOCABULARY = 13
KINDS = [
    {"cell": "lstm", "tied": True},
    {"cell": "lstm", "tied": False},
    {"cell": "gru", "tied": True},
    {"cell": "gru", "tied": False},
]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make_model(vocabulary=VOCABULARY, **settings):
    """Weights large enough for outputs that differ; dropouts that evaluation must not use."""
    torch.manual_seed(5)
    settings = {"bptt": 7, "initialization": "uniform", "initial_range": 0.9} | settings
    spec = RunSpec(
        corpus="tiny",
        layers=2,
        hidden_size=10,
        embedding_size=6,
        weight_drop=0.5,
        dropout_output=0.4,
        **settings,
    )
    return LanguageModel(spec, vocabulary)


def make_stream(tokens, vocabulary=VOCABULARY):
    return torch.randint(vocabulary, (tokens,), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def slow_distributions(model, stream, window, theta, weight):
    """The full distribution at each predicted position, (tokens - 1, vocabulary), in float64."""
    model.eval()
    output, raw, _ = model(stream[:-1, None], model.initial_state(1))
    hidden = raw[:, 0].double()
    logits = output[:, 0].double() @ model.decoder_weight.double().t() + model.bias.double()
    history = one_hot(stream[1:], len(model.bias)).double()
    distributions = []
    for t, vocabulary in enumerate(torch.softmax(logits, 1)):
        distribution = vocabulary
        first = max(0, t - window)
        if t > window:
            similarity = torch.stack([hidden[t] @ hidden[i] for i in range(first, t)])
            recent = torch.softmax(theta * similarity, 0) @ history[first:t]
            distribution = weight * recent + (1 - weight) * vocabulary
        distributions.append(distribution)
    return torch.stack(distributions)


def slow_losses(model, stream, *setting):
    return -slow_distributions(model, stream, *setting).gather(1, stream[1:, None])[:, 0].log()


@pytest.mark.parametrize("kind", KINDS)
def test_matches_the_definition(kind, monkeypatch):
    """Blocks, sliding buffer and band give what explicit loops give, for windows of all sizes."""
    monkeypatch.setattr(neural_cache, "BLOCK", 16)
    model, stream = make_model(**kind), make_stream(90)
    for window, theta, weight in [(1, 0.7, 0.3), (9, 1.3, 0.2), (40, 0, 0.9), (88, 0.5, 0.4)]:
        found = cache_losses(model, stream, window=window, theta=theta, weight=weight)
        expected = slow_losses(model, stream, window, theta, weight)
        assert found.shape == (89,)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", [1, 5, 256])
@pytest.mark.parametrize("bptt", [2, 7, 50])
def test_blocks_change_nothing(block, bptt, monkeypatch):
    """However chunks and blocks divide the stream, each position sees the same window."""
    monkeypatch.setattr(neural_cache, "BLOCK", block)
    model, stream = make_model(bptt=bptt), make_stream(120)
    found = cache_losses(model, stream, window=11, theta=1.0, weight=0.5)
    expected = slow_losses(model, stream, 11, 1.0, 0.5)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


def test_definition_is_a_distribution():
    """The yardstick itself: probabilities of the whole vocabulary sum to one."""
    sums = slow_distributions(make_model(), make_stream(60), 20, 1.0, 0.4).sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_probabilities_sum_to_one():
    """What cache_losses gives each possible next word sums to one: it is no score, but a law."""
    model, stream = make_model(), make_stream(60)
    for last in (25, 40, 59):
        losses = []
        for word in range(VOCABULARY):
            ending = torch.cat([stream[:last], torch.tensor([word])])
            losses.append(cache_losses(model, ending, window=20, theta=1.0, weight=0.4)[-1])
        assert torch.stack(losses).neg().exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_sees_no_future():
    """Losses of a beginning do not depend on what comes after it."""
    model, stream = make_model(), make_stream(100)
    setting = {"window": 15, "theta": 1.0, "weight": 0.5}
    whole = cache_losses(model, stream, **setting)
    for tokens in (2, 16, 17, 60):
        beginning = cache_losses(model, stream[:tokens], **setting)
        torch.testing.assert_close(whole[: tokens - 1], beginning, atol=1e-5, rtol=1e-5)


def test_weight_zero_is_the_model():
    model, stream = make_model(), make_stream(80)
    found = cache_losses(model, stream, window=10, theta=1.0, weight=0)
    assert torch.equal(found, stream_losses(model, stream)[:, 0])


def test_full_window_rule():
    """By default position ``window`` + 1 is the first to use the cache, as in the reference."""
    model, stream = make_model(), make_stream(80)
    plain = stream_losses(model, stream)[:, 0]
    found = cache_losses(model, stream, window=10, theta=1.0, weight=0.5)
    assert (found != plain).nonzero()[0].item() == 11


def test_window_longer_than_the_stream():
    """Such a cache never fills; it is not allocated either."""
    model, stream = make_model(), make_stream(50)
    setting = {"window": 10**9, "theta": 1.0, "weight": 0.5}
    assert torch.equal(cache_losses(model, stream, **setting), stream_losses(model, stream)[:, 0])


def test_cache_alone():
    """With weight 1 a word that fills the window is certain, one not in it impossible."""
    model, stream = make_model(), torch.tensor([1] * 10 + [2])
    found = cache_losses(model, stream, window=3, theta=1.0, weight=1)
    torch.testing.assert_close(found[4:-1], torch.zeros(5), atol=1e-6, rtol=0)
    assert found[-1] == math.inf


def test_large_scores_do_not_overflow():
    model, stream = make_model(), make_stream(60)
    assert cache_losses(model, stream, window=10, theta=1e4, weight=0.1).isfinite().all()


def test_grid_is_every_combination():
    """One pass for all settings equals one pass for each."""
    model, stream = make_model(), make_stream(90)
    found = grid(model, stream, [5, 30, 200], [0, 1.5], [0.0, 0.1, 0.6])
    settings = [setting for *setting, _ in found]
    assert settings == [[w, t, s] for w in (5, 30, 200) for t in (0, 1.5) for s in (0, 0.1, 0.6)]
    for window, theta, weight, value in found:
        losses = cache_losses(model, stream, window=window, theta=theta, weight=weight)
        assert value == pytest.approx(perplexity(mean_loss(losses)), rel=1e-6)


class Largest(TorchDispatchMode):
    """Notes the largest storage that any operation in its block returned, in elements."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                stored = leaf.untyped_storage().nbytes() // leaf.element_size()
                self.elements = max(self.elements, stored)
        return result


def test_memory_does_not_grow_with_window_times_vocabulary():
    """No one-hot history, no distributions of a block over the vocabulary, no copies of windows."""
    vocabulary, window = 20_000, 500
    model, stream = make_model(vocabulary, bptt=10), make_stream(1_500, vocabulary)
    with Largest() as largest:
        cache_losses(model, stream, window=window, theta=1.0, weight=0.1)
        grid(model, stream, [100, window], [0.5, 1.0], [0.1, 0.2])
    parameters = model.embedding.untyped_storage().nbytes() // 4
    block = neural_cache.BLOCK * (window + neural_cache.BLOCK)
    assert largest.elements <= max(parameters, 10 * vocabulary, block)
    assert largest.elements < window * vocabulary / 20


def test_leaves_model_as_it_was():
    model, stream = make_model(), make_stream(40)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for training in (True, False):
        model.train(training)
        losses = cache_losses(model, stream, window=5, theta=1.0, weight=0.1)
        assert model.training is training
        assert not losses.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "wrong",
    [{"window": 0}, {"theta": -1.0}, {"theta": math.nan}, {"weight": 1.1}, {"weight": -0.1}],
)
def test_values_out_of_range(wrong):
    setting = {"window": 5, "theta": 1.0, "weight": 0.1} | wrong
    with pytest.raises(InputError, match=next(iter(wrong))):
        cache_losses(make_model(), make_stream(20), **setting)


def test_empty_grid():
    with pytest.raises(InputError, match="theta"):
        grid(make_model(), make_stream(20), [5], [], [0.1])
