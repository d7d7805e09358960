"""The chunked cross-entropy against torch's own, values and gradients."""

import pytest
import torch
from torch.nn import functional

from awd.model.cross_entropy import ROWS, mean_cross_entropy, token_losses


@pytest.fixture(params=[1, ROWS, 2 * ROWS + 3])
def case(request):
    torch.manual_seed(0)
    rows, features, vocabulary = request.param, 7, 50
    hidden = torch.randn(rows, features, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(vocabulary, features, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(vocabulary, dtype=torch.float64, requires_grad=True)
    return hidden, weight, bias, torch.randint(vocabulary, (rows,))


def test_value_and_gradients_equal_those_of_stock_torch(case):
    hidden, weight, bias, targets = case
    ours = mean_cross_entropy(hidden, weight, bias, targets)
    stock = functional.cross_entropy(functional.linear(hidden, weight, bias), targets)
    torch.testing.assert_close(ours, stock)
    gradients = [torch.autograd.grad(3 * loss, (hidden, weight, bias)) for loss in (ours, stock)]
    for own, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(own, expected)


def test_token_losses_average_to_the_mean(case):
    hidden, weight, bias, targets = case
    losses = token_losses(hidden, weight, bias, targets)
    assert losses.shape == targets.shape
    torch.testing.assert_close(losses.mean(), mean_cross_entropy(hidden, weight, bias, targets))


def test_extreme_logits_stay_finite():
    hidden, weight = torch.full((2, 1), 1e4), torch.tensor([[1.0], [-1.0], [0.5]])
    loss = mean_cross_entropy(hidden, weight, torch.zeros(3), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(1e4)
