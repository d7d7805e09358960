"""The compiled kernels against plain torch in float64: values, gradients, updates, trajectories."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from awd.corpora import Corpus
from awd.corpora.batching import Chunk
from awd.model import kernels
from awd.model.cross_entropy import mean_cross_entropy
from awd.model.precision import operand, product, rounded
from awd.model.recurrent_layer import STOCK, recur
from awd.model.regularizers import weight_drop
from awd.study.spec import GATES, RunSpec
from awd.training.trainer import Trainer

CPU = torch.device("cpu")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
CELLS = ["lstm", "gru", "rnn"]
SIZES = {  # time, batch, inputs, width
    "usual": (6, 4, 32, 64),
    "odd": (5, 3, 7, 37),
    "one step": (1, 4, 5, 16),
    "one stream": (4, 1, 6, 9),
    "wide": (2, 3, 1290, 1283),  # beyond what one block of a packed matrix holds
}

needs_kernels = pytest.mark.skipif(kernels.operators is None, reason="no compiled kernels")


def relative(values, expected) -> float:
    """Length of the difference of two lists of tensors, relative to the expected length."""
    own, other = (
        torch.cat([part.flatten().double() for part in each]) for each in (values, expected)
    )
    return ((own - other).norm() / other.norm()).item()


def layer(cell, inputs, width, *, directions=1, dtype=torch.float64):
    """Weights as torch lays them out, drawn as it draws them."""
    rows = GATES[cell] * width
    shapes = [(rows, inputs), (rows, width), (rows,), (rows,)] * directions
    return [
        torch.empty(shape, dtype=dtype).uniform_(-(width**-0.5), width**-0.5) for shape in shapes
    ]


def needs(precision):
    if not kernels.usable(CPU, PRECISIONS[precision]):
        pytest.skip(f"this CPU has no fast {precision} products, or nothing was compiled")


def results(run, inputs, state, weights, wanted):
    """Outputs, last state, and the gradients of a sum in which each of them takes part."""
    leaves = [value.clone().requires_grad_() for value in (inputs, *state, *weights)]
    output, last = run(leaves[0], tuple(leaves[1 : 1 + len(state)]), leaves[1 + len(state) :])
    made = [output, *last]
    total = sum((value * factor).sum() for value, factor in zip(made, wanted, strict=True))
    return made, torch.autograd.grad(total, leaves)


def compare(cell, sizes, precision, directions=1):
    """(error of values, error of gradients) of the fast layer against torch's in float64."""
    time, batch, width_in, width = sizes
    torch.manual_seed(0)
    inputs = torch.randn(time, batch, width_in, dtype=torch.float64)
    parts = 2 if cell == "lstm" else 1
    state = [torch.randn(directions, batch, width, dtype=torch.float64) for _ in range(parts)]
    weights = layer(cell, width_in, width, directions=directions)
    wanted = [torch.randn(time, batch, directions * width, dtype=torch.float64)]
    wanted += [torch.randn_like(part) for part in state]

    def stock(values, first, matrices):
        hidden = first if cell == "lstm" else first[0]
        output, *last = STOCK[cell](
            values, hidden, matrices, True, 1, 0.0, True, directions == 2, False
        )
        return output, last

    def fast(values, first, matrices):
        return recur(cell, values, first, matrices, training=True, precision=precision)

    expected = results(stock, inputs, state, weights, wanted)
    low = [[value.float() for value in values] for values in (state, weights, wanted)]
    made = results(fast, inputs.float(), *low)
    return [relative(own, other) for own, other in zip(made, expected, strict=True)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_layers_are_those_of_torch(cell, sizes):
    needs("fp32")
    assert max(compare(cell, sizes, "fp32")) < 1e-6


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_layers_in_bf16_are_near_those_of_torch(cell, sizes):
    needs("bf16")
    errors = compare(cell, sizes, "bf16")
    assert 1e-5 < max(errors) < 5e-3


@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_are_those_of_torch(cell):
    needs("fp32")
    assert max(compare(cell, SIZES["odd"], "fp32", directions=2)) < 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_a_dropped_matrix_takes_part(cell):
    """Elements that are dropped change nothing, and get no gradient."""
    needs("fp32")
    torch.manual_seed(0)
    weights = layer(cell, 5, 24, dtype=torch.float32)
    raw = weights[1].clone().requires_grad_()
    weights[1] = weight_drop(raw, 0.5, training=True)
    state = (torch.zeros(1, 3, 24),) * (2 if cell == "lstm" else 1)
    output, _ = recur(cell, torch.randn(4, 3, 5), state, weights, training=True)
    output.square().sum().backward()
    assert ((raw.grad == 0) == (weights[1] == 0)).float().mean() > 0.99


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_not_a_number_stays_so(precision):
    """Else a diverged training would go unnoticed."""
    needs(precision)
    weights = layer("lstm", 5, 24, dtype=torch.float32)
    weights[1][0, 0] = float("nan")
    state = (torch.ones(1, 3, 24), torch.ones(1, 3, 24))
    output, _ = recur(
        "lstm", torch.randn(4, 3, 5), state, weights, training=True, precision=precision
    )
    assert output[0, :, 0].isnan().all()


@pytest.mark.parametrize("sizes", [(5, 7, 3), (1, 1, 1), (300, 65, 130), (70, 1283, 64)])
@pytest.mark.parametrize("transposed", [(), ("left",), ("right",), ("left", "right")])
def test_products_of_bf16_operands_are_exact(sizes, transposed):
    needs("bf16")
    torch.manual_seed(0)
    count, depth, columns = sizes
    left, right = torch.randn(count, depth), torch.randn(depth, columns)
    exact = rounded(left).double() @ rounded(right).double()
    left, right = operand(left, "bf16"), operand(right, "bf16")
    if "left" in transposed:
        left = left.t().contiguous().t()
    if "right" in transposed:
        right = right.t().contiguous().t()
    made = product(left, right)
    torch.testing.assert_close(made.double(), exact, rtol=1e-5, atol=1e-5 * depth**0.5)
    torch.testing.assert_close(product(left, right, out=made.clone(), add=True), 2 * made)


def test_the_loss_is_that_of_torch():
    needs("fp32")
    torch.manual_seed(0)
    shapes = [(9, 7), (203, 7), (203,)]
    leaves = [torch.randn(shape, dtype=torch.float64).mul_(3).requires_grad_() for shape in shapes]
    targets = torch.randint(203, (9,))
    logits = functional.linear(leaves[0], leaves[1], leaves[2])
    expected = functional.cross_entropy(logits, targets)
    low = [leaf.detach().float().requires_grad_() for leaf in leaves]
    made = mean_cross_entropy(*low, targets)
    assert relative([made.detach()], [expected.detach()]) < 1e-6
    gradients = torch.autograd.grad(made, low), torch.autograd.grad(expected, leaves)
    assert relative(*gradients) < 1e-6


# whole training steps -----------------------------------------------------------------------

MODELS = {
    "a": {"layers": 2, "hidden_size": 200, "embedding_size": 200, "batch_size": 20, "bptt": 20},
    "b": {"hidden_size": 300, "embedding_size": 300, "batch_size": 64, "bptt": 35, "tied": True},
    "c": {
        "layers": 3,
        "hidden_size": 230,
        "embedding_size": 80,
        "batch_size": 20,
        "bptt": 35,
        "tied": True,
        "weight_drop": 0.5,
        "dropout_embedding": 0.1,
        "dropout_input": 0.4,
        "dropout_hidden": 0.25,
        "dropout_output": 0.4,
        "activation_regularization": 2,
        "temporal_activation_regularization": 1,
        "weight_decay": 1.2e-6,
    },
}


def trainer_of(name, **settings) -> Trainer:
    draw = np.random.default_rng(0)
    words = (draw.pareto(1.0, 20_000) * 5).astype(np.int64).clip(max=999).astype(np.uint16)
    corpus = Corpus("x", "f" * 64, [f"w{n}" for n in range(1000)], words, words, words, info={})
    return Trainer(RunSpec(corpus="x", **(MODELS[name] | settings)), corpus, "train", CPU)


def plain_step(trainer, chunk):
    """What Trainer.step does, by torch's own functions, of which none is a fast path."""
    spec, model = trainer.spec, trainer.model
    model.train()
    end = chunk.start + chunk.length
    output = model(trainer.batches[chunk.start : end], trainer.hidden)
    trainer.hidden = [tuple(part.detach() for part in layer) for layer in output.state]
    logits = functional.linear(output.dropped, model.decoder_weight, model.bias)
    targets = trainer.batches[chunk.start + 1 : end + 1]
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss = loss + spec.activation_regularization * output.dropped.square().mean()
    loss = loss + spec.temporal_activation_regularization * output.raw.diff(dim=0).square().mean()
    gradients = torch.autograd.grad(loss, trainer.parameters)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(trainer.parameters, gradients, strict=True):
            gradient = gradient * min(1.0, spec.clip / norm.item())
            parameter -= spec.learning_rate * (gradient + spec.weight_decay * parameter)


def drift(name, steps, **settings) -> float:
    """How far ``steps`` fast steps end from plain ones in float64, relative to the way gone."""
    fast, plain = trainer_of(name, **settings), trainer_of(name, **settings | {"precision": "fp32"})
    plain.model.double()
    plain.parameters = list(plain.model.parameters())
    plain.hidden = plain.model.initial_state(fast.spec.batch_size)
    start = [parameter.detach().clone() for parameter in plain.parameters]
    chunks = [Chunk(n * fast.spec.bptt % 200, fast.spec.bptt, 1.0) for n in range(steps)]
    ends = []
    for trainer, step in ((fast, fast.step), (plain, lambda chunk: plain_step(plain, chunk))):
        torch.manual_seed(5)  # the same masks
        for chunk in chunks:
            step(chunk)
        ends.append(
            [p.detach().double() - s for p, s in zip(trainer.parameters, start, strict=True)]
        )
    return relative(*ends)


CASES = [("a", "lstm", 2, 1.5e-5), ("a", "gru", 2, 1.5e-5), ("b", "lstm", 2, 1.5e-5)]
CASES += [("c", "lstm", 1, 2e-5)]


@pytest.mark.parametrize(("name", "cell", "steps", "tolerance"), CASES)
def test_an_update_is_that_of_plain_torch_in_float64(name, cell, steps, tolerance):
    needs("fp32")
    assert drift(name, steps, cell=cell) < tolerance


@pytest.mark.parametrize(("name", "cell", "steps", "_"), CASES)
def test_an_update_in_bf16_is_near_that_of_plain_torch(name, cell, steps, _):
    needs("bf16")
    assert 1e-4 < drift(name, steps, cell=cell, precision="bf16") < 5e-3


@pytest.mark.parametrize("cell", CELLS)
def test_a_slow_training_takes_the_way_of_plain_torch(cell):
    """At a usual rate two kernels part chaotically; at a low one they must stay together."""
    needs("fp32")
    sizes = {"hidden_size": 50, "embedding_size": 50, "batch_size": 8, "learning_rate": 0.1}
    assert drift("a", 40, cell=cell, **sizes) < 1e-5


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_trainings_are_equal_to_the_last_bit(precision):
    ends = []
    for _ in range(2):
        trainer = trainer_of("c", precision=precision)
        for start in (0, 35):
            trainer.step(Chunk(start, 35, 1.0))
        ends.append(trainer.parameters)
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 5e-3)])
@pytest.mark.parametrize("cell", CELLS)
@needs_kernels
def test_without_compiled_kernels_an_update_is_the_same(precision, tolerance, cell, monkeypatch):
    ends = []
    for operators in (kernels.operators, None):
        monkeypatch.setattr(kernels, "operators", operators)
        trainer = trainer_of("c", precision=precision, cell=cell, learning_rate=10.0)
        start = [parameter.detach().clone() for parameter in trainer.parameters]
        trainer.step(Chunk(0, 35, 1.0))
        ends.append([p.detach() - s for p, s in zip(trainer.parameters, start, strict=True)])
    assert relative(*ends) < tolerance


def test_several_threads_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert not kernels.usable(CPU, torch.float32)
