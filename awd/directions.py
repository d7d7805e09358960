"""Two stacks of layers that read in opposite directions, and never see what they predict.

A bidirectional *layer* gives every later layer both directions, and with it the word that is to be
predicted. Here the directions stay apart up to the decoder, which allows two honest questions:

both directions   a word given all before it, and, by the second stack, given all after it: two
                  causal models that share word vectors and decoder (Peters et al. 2018, "Deep
                  contextualized word representations", section 3.1)
cloze             a word given both what is before it and what is after it (Melamud, Goldberger and
                  Dagan 2016, "context2vec"): not a language model, since the probabilities of the
                  words of a text, each given all others, do not multiply to that of the text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from awd.model import LanguageModel, State


def both(batches: Tensor) -> Tensor:
    """(time, streams) to (time, 2 * streams): each stream as it is, and from its end."""
    return torch.cat([batches, batches.flip(0)], dim=1)


def read_both(model: LanguageModel, values: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs of each stack on its half of the columns, side by side, and the next state.

    Args:
        values: word vectors of arranged text, (time, 2 * streams, features).
        state: of the forward stack's layers, then of the backward stack's.
    """
    count = len(model.layers)
    ahead, back = values.chunk(2, dim=1)
    ahead, ahead_state = model.read(ahead, state[:count])
    back, back_state = model.read(back, state[count:], model.backward_layers)
    return torch.cat([ahead, back], dim=1), ahead_state + back_state


def read_around(model: LanguageModel, values: Tensor, state: State) -> tuple[Tensor, State]:
    """Output t holds what precedes token t + 1 and what follows it, but not the token itself.

    What precedes is all of the stream, carried in ``state``; what follows is the rest of the chunk,
    which the backward stack reads from its end and from a state of zeros. Of the last two outputs
    nothing follows within the chunk: their second half is zero.

    Args:
        values: word vectors, (time, batch, features).
    """
    left, state = model.read(values, state)
    zeros = [layer.initial_state(values.shape[1]) for layer in model.backward_layers]
    right, _ = model.read(values.flip(0), zeros, model.backward_layers)
    right = functional.pad(right.flip(0)[2:], (0, 0, 0, 0, 0, min(2, len(values))))
    return torch.cat([left, right], dim=2), state
