"""One layer over time: shapes, carried state, gradients, and the choice of kernel."""

import pytest
import torch
from torch import nn

from awd.model import kernels
from awd.model.recurrent_layer import STOCK, RecurrentLayer, recur
from awd.study.spec import GATES

TIME, BATCH, INPUTS, WIDTH = 5, 3, 4, 6


def layer(cell, directions=1):
    """Inputs, first state and weights as torch.nn.LSTM, GRU and RNN lay them out."""
    torch.manual_seed(0)
    rows = GATES[cell] * WIDTH
    shapes = [(rows, INPUTS), (rows, WIDTH), (rows,), (rows,)] * directions
    weights = [torch.empty(shape).uniform_(-0.5, 0.5) for shape in shapes]
    parts = 2 if cell == "lstm" else 1
    state = tuple(torch.randn(directions, BATCH, WIDTH) for _ in range(parts))
    return torch.randn(TIME, BATCH, INPUTS), state, weights


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", STOCK)
def test_outputs_and_state_have_their_shapes(cell, directions):
    inputs, state, weights = layer(cell, directions)
    outputs, last = recur(cell, inputs, state, weights, training=False)
    assert outputs.shape == (TIME, BATCH, directions * WIDTH)
    assert [part.shape for part in last] == [part.shape for part in state]
    # The first direction ends at the last word, the second at the first word.
    torch.testing.assert_close(outputs[-1, :, :WIDTH], last[0][0])
    torch.testing.assert_close(
        outputs[0, :, -WIDTH:] if directions == 2 else last[0][-1], last[0][-1]
    )


@pytest.mark.parametrize("cell", STOCK)
def test_two_chunks_in_a_row_are_one_long_chunk(cell):
    inputs, state, weights = layer(cell)
    whole, end = recur(cell, inputs, state, weights, training=False)
    first, between = recur(cell, inputs[:2], state, weights, training=False)
    second, last = recur(cell, inputs[2:], between, weights, training=False)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("cell", STOCK)
def test_layers_compute_what_torchs_own_do(cell):
    torch.manual_seed(0)
    stock = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](5, 4)
    layer = RecurrentLayer(cell, 5, 4, bidirectional=False, p=0.0)
    for own, theirs in zip(layer.parameters(), stock.parameters(), strict=True):
        own.data.copy_(theirs)
    inputs = torch.randn(6, 2, 5)
    output, state = layer(inputs, layer.initial_state(2))
    expected, _ = stock(inputs)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(state[0][0], expected[-1])


def test_an_rnn_is_its_equation():
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)."""
    inputs, (hidden,), weights = layer("rnn")
    matrix_ih, matrix_hh, bias_ih, bias_hh = weights
    outputs, _ = recur("rnn", inputs, (hidden,), weights, training=False)
    now = hidden[0]
    for read, output in zip(inputs, outputs, strict=True):
        now = torch.tanh(read @ matrix_ih.t() + bias_ih + now @ matrix_hh.t() + bias_hh)
        torch.testing.assert_close(output, now)


@pytest.mark.parametrize("cell", STOCK)
def test_plain_torch_and_the_compiled_kernels_agree(cell, monkeypatch):
    """Values and all gradients are the same with the kernels and without them."""
    inputs, state, weights = layer(cell)

    def run():
        leaves = [value.clone().requires_grad_() for value in (inputs, *state, *weights)]
        split = 1 + len(state)
        outputs, last = recur(
            cell, leaves[0], tuple(leaves[1:split]), leaves[split:], training=True
        )
        total = (outputs**2).sum() + sum(part.sum() for part in last)
        return [outputs, *last, *torch.autograd.grad(total, leaves)]

    usual = run()
    monkeypatch.setattr(kernels, "usable", lambda *_: False)
    for own, stock in zip(usual, run(), strict=True):
        torch.testing.assert_close(own, stock, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", STOCK)
def test_float64_is_computed_in_float64(cell):
    """Tests compare with it; no kernel may quietly compute in fp32."""
    inputs, state, weights = layer(cell)
    inputs, *rest = (value.double() for value in (inputs, *state, *weights))
    outputs, _ = recur(cell, inputs, tuple(rest[: len(state)]), rest[len(state) :], training=False)
    assert outputs.dtype == torch.float64
