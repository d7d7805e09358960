"""Probes look at what a training does and leave it as it was."""

import pytest
import torch

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


def test_a_spec_is_probed_without_a_corpus():
    spec = RunSpec(corpus="ptb", **SMALL, dropout_output=0.5, learning_rate=20)
    observed = observe_spec(spec, 50)
    assert contradiction(spec, "train", observed) is None
    assert observed["dropout_output"] == pytest.approx(0.5)


def test_changes_of_a_rate_are_shares_of_the_first():
    assert changes([8.0, 8.0, 4.0, 4.0, 1.0]) == [[3, 0.5], [5, 0.125]]
    assert changes([3.0]) == []
