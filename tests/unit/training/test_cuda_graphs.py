"""What a GPU replays: here operations are recorded and replayed by hand, on a CPU."""

import logging
import math
from collections.abc import Callable
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from awd.study.spec import RunSpec
from awd.training.cuda_graphs import TOLERANCE, CudaCapture, Replayed, deviation
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


def trainer_of(corpus, **settings) -> Trainer:
    """A trainer with the optimizer that it has on a GPU."""
    spec = RunSpec(corpus="tiny", **(SPEC | settings))
    trainer = Trainer(spec, corpus, "train", torch.device("cpu"))
    rules = {"lr": torch.tensor(float(spec.learning_rate)), "weight_decay": spec.weight_decay}
    trainer.optimizer = torch.optim.SGD(trainer.parameters, fused=True, **rules)
    return trainer


def replaying(trainer: Trainer, captured: list, spoil: Callable = lambda _: None) -> None:
    """Have the trainer's updates recorded and replayed; ``spoil`` may change what was recorded."""

    def capture(call):
        before = deepcopy([memory.detach() for memory in trainer.memory()])
        random = torch.get_rng_state()
        with Recorder() as recorder:
            call()
        with torch.no_grad():
            for memory, value in zip(trainer.memory(), before, strict=True):
                memory.copy_(value)
        torch.set_rng_state(random)  # a recording draws no random numbers
        looks = [each[0] for each in recorder.operations].count(LOOK)
        captured.append(looks)
        spoil(recorder)
        return recorder.replay

    trainer.new_update = lambda: trainer.replayed(capture)
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
    for memory, other in zip(plain.memory(), replayed.memory(), strict=True):
        assert torch.allclose(memory, other, rtol=1e-5, atol=1e-7)
    assert [epoch["train_loss"] for epoch in replayed.history] == pytest.approx(
        [epoch["train_loss"] for epoch in plain.history], rel=1e-6
    )


def drop_as_on_a_gpu(like, shape, p):
    """A mask without a look at a value; ``_mask`` on a CPU looks at a random number."""
    return like.new_empty(shape).bernoulli_(1 - p).div_(1 - p)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr("awd.model.kernels.operators", None)
    monkeypatch.setattr("torch.backends.mkldnn.enabled", False)
    monkeypatch.setattr("awd.model.regularizers._mask", drop_as_on_a_gpu)


DROPOUTS = {"weight_drop": 0.5, "dropout_input": 0.3, "dropout_output": 0.4}


def trained(corpus, captured=None, **how) -> Trainer:
    """After three epochs, eagerly, or replayed if ``captured`` is a list."""
    trainer = trainer_of(corpus, **DROPOUTS)
    if captured is not None:
        replaying(trainer, captured, **how)
    torch.manual_seed(5)
    for _ in range(2):
        for chunk in trainer.chunks():
            trainer.step(chunk)
        trainer.end_epoch()
    return trainer


def assert_same(one: Trainer, other: Trainer) -> None:
    for memory, others in zip(one.memory(), other.memory(), strict=True):
        assert torch.allclose(memory, others, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_the_first_replay_agrees_with_the_eager_update_and_costs_no_random_number(corpus):
    """Otherwise all later masks would be others."""
    captured: list = []
    plain, replayed = trained(corpus), trained(corpus, captured)
    assert len(captured) > 3
    assert replayed.graphs == {
        "used": True,
        "deviation": replayed.update.deviation,
        "reason": None,
    }
    assert replayed.update.deviation < 1e-5
    assert plain.graphs is None
    assert_same(plain, replayed)


def frozen_masks(recorder):
    """As if random numbers were recorded, too: each replay drops what the recording dropped."""
    aten = torch.ops.aten
    mask = (aten.new_empty.default, aten.bernoulli_.float, aten.div_.Tensor)
    recorder.operations = [each for each in recorder.operations if each[0] not in mask]


def constant_place(recorder):
    """As if the place in the text had been looked at when the update was recorded."""
    add = torch.ops.aten.add.Tensor
    kept = [
        each for each in recorder.operations if each[0] is not add or each[3].is_floating_point()
    ]
    assert len(kept) < len(recorder.operations)
    recorder.operations = kept


def lost_step(recorder):
    """As if an operation in the middle had not been recorded."""
    del recorder.operations[len(recorder.operations) // 2 :]


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("spoil", [frozen_masks, constant_place, lost_step])
def test_a_replay_that_differs_is_not_used_and_leaves_no_trace(corpus, caplog, spoil):
    captured: list = []
    plain = trained(corpus)
    with caplog.at_level(logging.WARNING):
        replayed = trained(corpus, captured, spoil=spoil)
    assert len(captured) < len(replayed.update.met), "it is not tried again"
    assert replayed.graphs["used"] is False
    assert not replayed.update.deviation <= 1e-2
    assert replayed.graphs["deviation"] in (replayed.update.deviation, None), "a record has no nan"
    assert "a replayed update differs from an eager one by" in replayed.graphs["reason"]
    assert [record.getMessage() for record in caplog.records] == [
        f"no CUDA graphs, which is slower: {replayed.graphs['reason']}"
    ]
    assert_same(plain, replayed)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_after_a_restored_state_nothing_old_is_replayed(corpus):
    """A recording is of tensors that the trainer then no longer has."""
    whole = trained(corpus)
    pieces = trainer_of(corpus, **DROPOUTS)
    replaying(pieces, [])
    torch.manual_seed(5)
    for chunk in pieces.chunks():
        pieces.step(chunk)
    pieces.end_epoch()
    assert pieces.update.replays
    pieces.restore(deepcopy(pieces.state()))
    assert not pieces.update.replays
    for chunk in pieces.chunks():
        pieces.step(chunk)
    pieces.end_epoch()
    assert_same(whole, pieces)


RANDOM = (torch.get_rng_state, torch.set_rng_state)


def test_what_cannot_be_recorded_is_done_as_before(caplog):
    """The work is done once for each call, with one warning; recording is not tried again."""
    done, tried = [], []

    def capture(_):
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    work = Replayed(done.append, capture, list, RANDOM)
    with caplog.at_level(logging.WARNING):
        for size in (3, 3, 4, 3, 4):
            work(size)
    assert done == [3, 3, 4, 3, 4]
    assert len(tried) == 1
    reason = "an update cannot be recorded: operation not permitted when stream is capturing"
    assert work.reason == reason
    assert [record.getMessage() for record in caplog.records] == [
        f"no CUDA graphs, which is slower: {reason}"
    ]


def test_a_lack_of_memory_is_no_reason_to_go_on():
    def capture(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    work = Replayed(lambda _: None, capture, list, RANDOM)
    work(3)
    with pytest.raises(torch.OutOfMemoryError):
        work(3)


def test_differences_are_relative_to_what_an_update_changes():
    before, eager = torch.zeros(4), torch.tensor([0.0, 3.0, 0.0, 4.0])
    assert deviation(before, eager, eager) == 0
    assert deviation(before, eager + torch.tensor([0.0, 0.0, 0.5, 0.0]), eager) == 0.1
    assert deviation(before, before, before) == 0
    assert deviation(before, eager, before) == math.inf
    assert not deviation(before, torch.full((4,), math.nan), eager) <= TOLERANCE


# capture ------------------------------------------------------------------------------------


class Stream:
    device_index = 0


class Generator:
    def __init__(self, state):
        self.state = state

    def clone_state(self):
        return Generator(self.state)

    def graphsafe_set_state(self, other):
        self.state = other.state


class Driver:
    """torch.cuda, as far as a capture needs it, with what a failed capture leaves behind.

    The order is that of torch.cuda.graph: its stream is left only after the capture has ended.
    """

    def __init__(self):
        self.mine, self.theirs = Stream(), Stream()
        self.stream = self.mine
        self.default_generators = (Generator("eager"),)
        self.replayed = 0

    def graph_pool_handle(self):
        return (0, 1)

    def current_stream(self, _):
        return self.stream

    def set_stream(self, stream):
        self.stream = stream

    def CUDAGraph(self):  # noqa: N802 - torch's name
        return self

    def replay(self):
        self.replayed += 1

    @contextmanager
    def graph(self, _, pool):
        assert pool == (0, 1)
        self.stream, self.default_generators[0].state = self.theirs, "recording"
        yield  # an error leaves all as it is
        self.stream, self.default_generators[0].state = self.mine, "eager"


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    for name in ("graph_pool_handle", "current_stream", "set_stream", "CUDAGraph", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(driver, name))
    monkeypatch.setattr(torch.cuda, "default_generators", driver.default_generators)
    monkeypatch.setattr(CudaCapture, "failed", None)
    return driver


def test_a_capture_returns_its_replay(driver):
    called = []
    replay = CudaCapture(torch.device("cuda"))(lambda: called.append(driver.stream))
    assert called == [driver.theirs]
    replay()
    assert driver.replayed == 1
    assert driver.stream is driver.mine


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), KeyboardInterrupt()])
def test_a_failed_capture_leaves_stream_and_random_numbers_as_they_were(driver, error):
    def fail():
        raise error

    capture = CudaCapture(torch.device("cuda"))
    with pytest.raises(type(error)):
        capture(fail)
    assert driver.stream is driver.mine
    assert driver.default_generators[0].state == "eager"


@pytest.mark.usefixtures("driver")
def test_after_a_failed_capture_none_is_tried_in_the_process():
    def fail():
        raise RuntimeError("not permitted")

    with pytest.raises(RuntimeError, match="not permitted"):
        CudaCapture(torch.device("cuda"))(fail)
    called = []
    with pytest.raises(RuntimeError, match="not permitted"):
        CudaCapture(torch.device("cuda"))(lambda: called.append(1))
    assert not called
