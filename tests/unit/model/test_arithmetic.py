"""Operations in a defined order, against torch in double precision."""

import math
from fractions import Fraction

import pytest
import torch
from torch.nn import functional

from awd.model import arithmetic

EPSILON = torch.finfo(torch.float32).eps


def units_off(made, exact) -> float:
    """The largest difference to ``exact`` (in double), in units of the last digit of a float."""
    return ((made.double() - exact).abs() / (exact.abs() * EPSILON)).max().item()


@pytest.mark.parametrize(
    ("name", "low", "high", "worst"),
    [
        ("exp", -87, 88, 3),
        ("tanh", -10, 10, 3),
        ("tanh", -1e-3, 1e-3, 3),
        ("log", 1e-30, 1e30, 1),
        ("log", 0.4, 2.6, 2),
        ("sqrt", 0, 100, 0.5),
    ],
)
def test_functions_are_right_to_the_last_digits(name, low, high, worst):
    torch.manual_seed(0)
    values = torch.empty(100_000).uniform_(low, high)
    values = values[values != 0]
    made = getattr(arithmetic, name)(values)
    assert units_off(made, getattr(torch, name)(values.double())) <= worst


def test_log_softmax_does_not_underflow():
    rows = torch.tensor([[0.0, -1.0, -200.0], [1e4, 1e4, -1e4]])
    expected = torch.log_softmax(rows.double(), 1).float()
    torch.testing.assert_close(arithmetic.log_softmax(rows), expected, rtol=1e-6, atol=1e-6)


def test_functions_at_their_ends():
    infinite, nothing = math.inf, math.nan
    values = torch.tensor([-infinite, -200.0, 0.0, -0.0, infinite, nothing])
    for name, wanted in {
        "exp": [0, 0, 1, 1, None, nothing],
        "tanh": [-1, -1, 0, 0, 1, nothing],
        "log": [nothing, nothing, -infinite, -infinite, infinite, nothing],
        "sqrt": [nothing, nothing, 0, 0, infinite, nothing],
    }.items():
        made = getattr(arithmetic, name)(values).tolist()
        for one, other in zip(made, wanted, strict=True):
            if other is None:  # beyond what a float holds: very large is enough
                assert one > 1e38
            else:
                assert one == other or (math.isnan(one) and math.isnan(other))


def test_the_logarithm_of_the_smallest_numbers():
    values = torch.tensor([1e-45, 1e-40, 1.1754944e-38])
    torch.testing.assert_close(arithmetic.log(values), values.double().log().float())


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000])
def test_sums_are_exact_to_the_last_digit(size):
    torch.manual_seed(0)
    rows = torch.randn(3, size)
    exact = [float(sum(map(Fraction, row.tolist()))) for row in rows]
    torch.testing.assert_close(arithmetic.row_sums(rows), torch.tensor(exact), rtol=1e-7, atol=0)
    torch.testing.assert_close(arithmetic.column_sums(rows), rows.sum(0))
    torch.testing.assert_close(arithmetic.mean(rows), rows.mean())
    torch.testing.assert_close(arithmetic.softmax(rows), rows.softmax(1))


CASES = {
    "linear": (arithmetic.linear, functional.linear, [(4, 3, 7), (5, 7)]),
    "tanh": (arithmetic.tanh, torch.tanh, [(4, 9)]),
    "mean_square": (arithmetic.mean_square, lambda x: x.square().mean(), [(4, 3, 7)]),
    "mean_squared_change": (
        arithmetic.mean_squared_change,
        lambda x: torch.diff(x, dim=0).square().mean(),
        [(4, 3, 7)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name):
    own, stock, shapes = CASES[name]
    torch.manual_seed(0)
    exact = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    leaves = [leaf.detach().float().requires_grad_() for leaf in exact]
    made, wanted = own(*leaves), stock(*exact)
    torch.testing.assert_close(made.double(), wanted, rtol=1e-5, atol=1e-6)
    factor = torch.randn_like(wanted)
    gradients = torch.autograd.grad((made * factor.float()).sum(), leaves)
    expected = torch.autograd.grad((wanted * factor).sum(), exact)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dropped", [False, True])
def test_looking_up_words_is_torchs_embedding(dropped):
    torch.manual_seed(0)
    tokens = torch.randint(5, (6, 2))
    embedding = torch.randn(5, 3, requires_grad=True)
    factors = torch.tensor([0.0, 2.0, 2.0, 0.0, 2.0]) if dropped else None
    made = arithmetic.look_up(tokens, embedding, factors)
    kept = embedding if factors is None else embedding * factors[:, None]
    wanted = functional.embedding(tokens, kept)
    assert torch.equal(made, wanted)
    weights = torch.randn_like(made)
    (own,) = torch.autograd.grad((made * weights).sum(), embedding)
    (other,) = torch.autograd.grad((wanted * weights).sum(), embedding)
    torch.testing.assert_close(own, other)


def test_uniform_numbers_fill_their_range_evenly():
    torch.manual_seed(0)
    values = torch.empty(100_000)
    arithmetic.draw_uniformly(values, 0.3)
    assert -0.3 <= values.min() < -0.299
    assert 0.299 < values.max() < 0.3
    assert values.mean().abs() < 0.002
    torch.testing.assert_close(values.var(), torch.tensor(0.3**2 / 3), rtol=0.01, atol=0)


@pytest.mark.parametrize(("base", "exponent"), [(0.9, 0), (0.9, 1), (0.999, 12345), (2.0, 30)])
def test_powers(base, exponent):
    assert arithmetic.power(base, exponent) == pytest.approx(base**exponent, rel=1e-12)
