"""Probes look at what a training does and leave it as it was."""

import pytest
import torch

from awd.model import language_model, recurrent_layer
from awd.study.spec import RunSpec
from awd.training.expected import contradiction
from awd.training.probes import changes, observe, observe_spec
from awd.training.trainer import Trainer

SMALL = {"hidden_size": 16, "embedding_size": 16, "batch_size": 4, "bptt": 10, "epochs": 2}
CPU = torch.device("cpu")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "nt-asgd"])
def test_a_probed_training_is_the_same_to_the_last_bit(corpus, optimizer):
    spec = RunSpec(corpus="tiny", **SMALL, optimizer=optimizer, dropout_output=0.5, weight_drop=0.3)
    probed, other = (Trainer(spec, corpus, "train", CPU) for _ in range(2))
    observe(probed)
    for trainer in (probed, other):
        torch.manual_seed(1)
        for chunk in trainer.chunks()[:3]:
            trainer.step(chunk)
    for one, another in zip(probed.parameters, other.parameters, strict=True):
        assert torch.equal(one, another)


@pytest.mark.parametrize("optimizer", ["sgd", "nt-asgd"])
def test_a_rate_at_which_two_steps_diverge_can_be_probed(corpus, optimizer):
    """What cannot be seen then is left out; that the training diverges is its result."""
    spec = RunSpec(corpus="tiny", **SMALL, optimizer=optimizer, learning_rate=1e38, clip=0)
    observed = observe(Trainer(spec, corpus, "train", CPU))
    assert contradiction(spec, "train", observed) is None
    assert observed["epochs"] == 2


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("rate", [1e-5, 1e-9, 1e-20])
def test_a_rate_is_seen_whose_steps_are_lost_in_rounding(corpus, optimizer, rate):
    """A step is looked at from weights of zero, where none is too small."""
    spec = RunSpec(corpus="tiny", **SMALL, optimizer=optimizer, learning_rate=rate)
    observed = observe(Trainer(spec, corpus, "train", CPU))
    assert observed["learning_rate"] == pytest.approx(rate, rel=1e-3)
    assert contradiction(spec, "train", observed) is None
    twice = spec.changed(learning_rate=2 * rate)
    assert contradiction(twice, "train", observed).startswith(f"learning_rate is {rate:g} as")


def test_a_spec_is_probed_without_a_corpus():
    spec = RunSpec(corpus="ptb", **SMALL, dropout_output=0.5, learning_rate=20)
    observed = observe_spec(spec, 50)
    assert contradiction(spec, "train", observed) is None
    assert observed["dropout_output"] == pytest.approx(0.5)


def test_changes_of_a_rate_are_shares_of_the_first():
    assert changes([8.0, 8.0, 4.0, 4.0, 1.0]) == [[3, 0.5], [5, 0.125]]
    assert changes([3.0]) == []


def to_tf32(values):
    """The nearest numbers with ten bits behind the point, to which a GPU's tensor cores round."""
    bits = values.detach().view(torch.int32)
    rounded = ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
    return values + (rounded - values).detach()  # exact; the gradient passes


@pytest.fixture(params=[1e-3, 0.1])
def initial_range(request):
    """So small weights once hid what is rounded."""
    return request.param


def precision_with(monkeypatch, corpus, initial_range, *rounded):
    """The precision that is observed if products of these parts round what they read to TF32."""
    for name in rounded:
        module = {"recur": recurrent_layer, "mean_cross_entropy": language_model}[name]
        made, place = getattr(module, name), {"recur": 1, "mean_cross_entropy": 0}[name]

        def tf32(*given, made=made, place=place, **how):
            given = list(given)
            given[place] = to_tf32(given[place])
            return made(*given, **how)

        monkeypatch.setattr(module, name, tf32)
    sizes = {"layers": 2, "hidden_size": 8, "embedding_size": 8, "batch_size": 4, "bptt": 10}
    spec = RunSpec(corpus="tiny", initialization="uniform", initial_range=initial_range, **sizes)
    trainer = Trainer(spec, corpus, "train", torch.device("cpu"))
    found = observe(trainer)
    return found["precision"], contradiction(spec, "train", found)


def test_products_in_tf32_are_noticed_and_end_a_training(monkeypatch, corpus, initial_range):
    observed, sentence = precision_with(
        monkeypatch, corpus, initial_range, "recur", "mean_cross_entropy"
    )
    assert observed == "tf32"
    assert "precision is tf32 as observed" in sentence


def test_recurrent_layers_alone_in_tf32_are_noticed(monkeypatch, corpus, initial_range):
    """As with torch's defaults on a GPU."""
    observed, sentence = precision_with(monkeypatch, corpus, initial_range, "recur")
    assert observed == "mixed"
    assert sentence is not None


def test_products_in_fp32_are_those_that_a_spec_requires(monkeypatch, corpus, initial_range):
    assert precision_with(monkeypatch, corpus, initial_range) == ("fp32", None)


def test_a_word_whose_loss_stays_the_same_is_no_rounding(monkeypatch, corpus):
    """A logit that is the mean of all does so, whatever the size of what is read."""
    made = language_model.mean_cross_entropy

    def insensitive(read, weight, bias, targets, **how):
        loss = made(read, weight, bias, targets, **how)
        return loss if targets.any() else torch.ones_like(loss)

    monkeypatch.setattr(language_model, "mean_cross_entropy", insensitive)
    assert precision_with(monkeypatch, corpus, 0.1) == ("fp32", None)
