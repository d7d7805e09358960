"""bf16: operands of the matrix products are rounded in training, and nothing else is."""

import pytest
import torch
from torch.nn import functional

from awd.model.cross_entropy import ROWS, mean_cross_entropy
from awd.model.language_model import LanguageModel
from awd.model.precision import operand, product, rounded
from awd.study.spec import RunSpec

TOLERANCE = 5e-3
"""Of an update in bf16, relative to its length in fp32."""


def error(values, expected) -> float:
    """Length of the difference relative to the expected length."""
    own, other = (
        torch.cat([part.detach().flatten() for part in each]) for each in (values, expected)
    )
    return ((own.double() - other.double()).norm() / other.double().norm()).item()


def model_of(**settings) -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"layers": 2, "hidden_size": 24, "embedding_size": 24}
    return LanguageModel(RunSpec(corpus="ptb", **(sizes | settings)), vocabulary=50)


def gradients(model):
    torch.manual_seed(1)
    tokens = torch.randint(50, (6, 4))
    output = model(tokens, model.initial_state(4))
    model.loss(output.dropped, tokens.roll(-1, 0)).backward()
    return [parameter.grad for parameter in model.parameters()]


def test_a_product_of_bf16_operands_is_not_rounded():
    torch.manual_seed(0)
    left, right = torch.randn(5, 30), torch.randn(30, 7)
    exact = rounded(left).double() @ rounded(right).double()
    made = product(operand(left, "bf16"), operand(right, "bf16"))
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.double(), exact, rtol=1e-6, atol=1e-6)
    assert error([left @ right], [exact]) > 1e-4  # the operands are
    added = product(operand(left, "bf16"), operand(right, "bf16"), out=made.clone(), add=True)
    torch.testing.assert_close(added, 2 * made)


def test_the_gradient_of_rounding_passes_as_it_is():
    values = torch.randn(9, requires_grad=True)
    weights = torch.randn(9)
    (rounded(values) * weights).sum().backward()
    assert torch.equal(values.grad, weights)


def test_the_loss_in_bf16_is_that_of_rounded_operands():
    torch.manual_seed(0)
    hidden = torch.randn(ROWS + 3, 20, requires_grad=True)
    weight, bias = torch.randn(60, 20, requires_grad=True), torch.randn(60, requires_grad=True)
    targets = torch.randint(60, (ROWS + 3,))
    loss = mean_cross_entropy(hidden, weight, bias, targets, "bf16")
    logits = functional.linear(rounded(hidden), rounded(weight), bias)
    expected = functional.cross_entropy(logits, targets)
    torch.testing.assert_close(loss, expected)
    wanted = (hidden, weight, bias)
    own, other = (torch.autograd.grad(value, wanted) for value in (loss, expected))
    for one, two in zip(own, other, strict=True):
        assert one.dtype == torch.float32
        assert error([one], [two]) < TOLERANCE


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_in_bf16_are_near_those_in_fp32(cell, bidirectional):
    settings = {"cell": cell, "bidirectional": bidirectional, "tied": True}
    own, other = (gradients(model_of(precision=name, **settings)) for name in ("bf16", "fp32"))
    assert 1e-5 < error(own, other) < TOLERANCE
    assert all(part.dtype == torch.float32 for part in own)


def test_evaluation_is_in_fp32_whatever_training_is_in():
    tokens = torch.arange(12).view(6, 2)
    models = [model_of(precision=name).eval() for name in ("bf16", "fp32")]
    outputs = [model(tokens, model.initial_state(2)).dropped for model in models]
    losses = [model.loss(outputs[0], tokens) for model in models]
    assert torch.equal(*outputs)
    assert torch.equal(*losses)


def test_the_precision_is_named_only_if_it_is_not_the_default():
    default = RunSpec(corpus="ptb")
    assert "precision" not in default.canonical()
    assert RunSpec(corpus="ptb", precision="bf16").run("f" * 64) != default.run("f" * 64)
