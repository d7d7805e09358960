"""What a GPU replays: here operations are recorded and replayed by hand, on a CPU."""

import logging
from copy import deepcopy
from itertools import chain

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from awd.study.spec import RunSpec
from awd.training.cuda_graphs import Replayed
from awd.training.trainer import Trainer

SPEC = {
    "hidden_size": 8,
    "embedding_size": 8,
    "batch_size": 4,
    "bptt": 10,
    "epochs": 6,
    "learning_rate": 5,
    "activation_regularization": 2,
    "temporal_activation_regularization": 1,
    "weight_decay": 1e-4,
    "variable_bptt": True,
    "initialization": "uniform",
}


LOOK = torch.ops.aten._local_scalar_dense.default


class Recorder(TorchDispatchMode):
    """Notes each operation with the memory that it reads and writes."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        self.operations.append((operation, args, kwargs or {}, result))
        return result

    def replay(self):
        """Do the same to the same memory, as a CUDA graph does."""
        with torch.no_grad():
            for operation, args, kwargs, result in self.operations:
                again = operation(*args, **kwargs)
                for there, new in zip(tree_flatten(result)[0], tree_flatten(again)[0], strict=True):
                    if isinstance(new, torch.Tensor) and new.data_ptr() != there.data_ptr():
                        there.copy_(new)


def memory_of(trainer: Trainer) -> list[torch.Tensor]:
    """All that an update changes."""
    average = trainer.average.means if trainer.average else []
    adam = [part for state in trainer.optimizer.state.values() for part in state.values()]
    hidden = list(chain.from_iterable(trainer.hidden))
    return [*trainer.parameters, *average, *adam, *hidden, trainer.loss_sum]


def trainer_of(corpus, **settings) -> Trainer:
    """A trainer with the optimizer that it has on a GPU."""
    spec = RunSpec(corpus="tiny", **(SPEC | settings))
    trainer = Trainer(spec, corpus, "train", torch.device("cpu"))
    rules = {"lr": torch.tensor(float(spec.learning_rate)), "weight_decay": spec.weight_decay}
    trainer.optimizer = torch.optim.SGD(trainer.parameters, fused=True, **rules)
    return trainer


def replaying(trainer: Trainer, captured: list) -> None:
    """Have the trainer's updates recorded and replayed."""

    def capture(call):
        before = deepcopy([memory.detach() for memory in memory_of(trainer)])
        with Recorder() as recorder:
            call()
        with torch.no_grad():
            for memory, value in zip(memory_of(trainer), before, strict=True):
                memory.copy_(value)
        looks = [each[0] for each in recorder.operations].count(LOOK)
        captured.append(looks)
        return recorder.replay

    trainer.new_update = lambda: Replayed(trainer._update, capture)
    trainer.update = trainer.new_update()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("objective", ["next-word", "both-directions"])
def test_replayed_updates_are_updates(corpus, monkeypatch, cell, objective):
    """Lengths, places, rates, the carried state and the average's weight all reach a replay."""
    monkeypatch.setattr("awd.model.kernels.operators", None)
    monkeypatch.setattr("torch.backends.mkldnn.enabled", False)  # its LSTM has hidden memory
    settings = {"cell": cell, "objective": objective, "optimizer": "nt-asgd"}
    plain, replayed, captured = trainer_of(corpus, **settings), trainer_of(corpus, **settings), []
    replaying(replayed, captured)
    for trainer in (plain, replayed):
        for _ in range(3):
            for chunk in trainer.chunks():
                trainer.step(chunk)
            trainer.trigger.losses = [0.0] * 9  # averaging starts after the first epoch
            trainer.end_epoch()
    assert len(captured) > 5, "several lengths"
    # A look at a value would be one at the recorded value for ever. The one at the derivative by
    # the loss, which is 1, is for CPUs alone.
    assert set(captured) == {1}
    assert plain.average.count == replayed.average.count > 5
    for memory, other in zip(memory_of(plain), memory_of(replayed), strict=True):
        assert torch.allclose(memory, other, rtol=1e-5, atol=1e-7)
    assert [epoch["train_loss"] for epoch in replayed.history] == pytest.approx(
        [epoch["train_loss"] for epoch in plain.history], rel=1e-6
    )


def test_what_cannot_be_recorded_is_done_as_before(caplog):
    """The work is done once for each call, with one warning for each size."""
    done = []

    def capture(_):
        raise RuntimeError("operation not permitted when stream is capturing")

    work = Replayed(done.append, capture)
    with caplog.at_level(logging.WARNING):
        for size in (3, 3, 4, 3):
            work(size)
    assert done == [3, 3, 4, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "no CUDA graph, which is slower: operation not permitted when stream is capturing"
    ]
