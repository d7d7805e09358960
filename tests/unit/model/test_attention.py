"""Attention over a window: causal, with a memory that carries over chunks."""

import pytest
import torch

from awd.model.attention import WindowAttention

WIDTH, WINDOW, BATCH = 4, 3, 2


def attention():
    torch.manual_seed(0)
    module = WindowAttention(WIDTH, WINDOW)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def test_the_memory_begins_with_zeros():
    (memory,) = attention().initial_state(BATCH)
    assert memory.shape == (WINDOW, BATCH, WIDTH)
    assert not memory.any()


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_the_memory_carries_over_chunks(cut):
    """Also over a chunk that is shorter than the window."""
    module, outputs = attention(), torch.randn(7, BATCH, WIDTH)
    (memory,) = module.initial_state(BATCH)
    whole, end = module(outputs, memory)
    first, between = module(outputs[:cut], memory)
    second, last = module(outputs[cut:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, end)
    torch.testing.assert_close(end, outputs[-WINDOW:])


def test_an_output_depends_on_itself_and_the_window_before_it_only():
    module, outputs = attention(), torch.randn(8, BATCH, WIDTH, requires_grad=True)
    attended, _ = module(outputs, *module.initial_state(BATCH))
    (gradient,) = torch.autograd.grad(attended[5].sum(), outputs)
    reached = gradient.abs().sum((1, 2)).nonzero().flatten().tolist()
    assert reached == [2, 3, 4, 5]


def test_equal_outputs_are_remembered_as_they_are():
    """Weights that add up to one over equal outputs give that output."""
    module = attention()
    now = torch.randn(1, BATCH, WIDTH)
    attended, _ = module(now, now.expand(WINDOW, -1, -1))
    expected = torch.tanh(now @ module.remembered.t() + now @ module.current.t())
    torch.testing.assert_close(attended, expected)
