"""What AWD-LSTM puts on a recurrent language model, each technique a function of tensors.

Merity, Keskar and Socher 2018, "Regularizing and Optimizing LSTM Language Models". Where the paper
and its reference implementation differ, the definition is the implementation's and the difference
is named. All masks are inverted (scaled by 1 / (1 - p)), so that evaluation changes nothing.
"""

import math

import numpy as np
import torch
from torch import Tensor

from awd.model import kernels
from awd.model.arithmetic import defined, look_up, mean_square, mean_squared_change

LEVELS = 1 << 16
"""Steps between 0 and 1 in which a probability is drawn on a CPU."""


def weight_drop(weight: Tensor, p: float, *, training: bool) -> Tensor:
    """DropConnect on a recurrent matrix (section 3).

    Args:
        weight: hidden-to-hidden matrix, (gates * hidden, hidden).
        p: probability that an element is zero.
        training: False returns ``weight`` itself.

    The result is a new tensor to be used for one forward pass, hence one mask for all time steps
    and batch rows of that pass; the gradient reaches ``weight`` through the mask.
    """
    if not training or p == 0:
        return weight
    return weight * _mask(weight, weight.shape, p)


def locked_dropout(activations: Tensor, p: float, *, training: bool) -> Tensor:
    """Variational dropout: one mask for all time steps, another for each batch row (section 4.2).

    Args:
        activations: (time, batch, features).
        p: probability that a feature of a batch row is zero.
        training: False returns ``activations`` itself.
    """
    if not training or p == 0:
        return activations
    return activations * _mask(activations, (1, *activations.shape[1:]), p)


def standard_dropout(activations: Tensor, p: float, *, training: bool) -> Tensor:
    """Dropout with a new mask at every time step (Zaremba et al. 2014), shapes as locked."""
    if not training or p == 0:
        return activations
    return activations * _mask(activations, activations.shape, p)


def embedding_dropout(tokens: Tensor, embedding: Tensor, p: float, *, training: bool) -> Tensor:
    """Look up word vectors, dropping whole word types for this forward pass (section 4.3).

    Args:
        tokens: (time, batch) of word ids.
        embedding: (vocabulary, features).
        p: probability that a word type, and so each of its occurrences, becomes a zero vector.
        training: False looks up and drops nothing.

    Returns (time, batch, features). Only the lookup is masked; a tied decoder sees the full matrix.
    """
    if not training or p == 0:
        return look_up(tokens, embedding)
    return look_up(tokens, embedding, _mask(embedding, (len(embedding),), p))


def activation_regularization(dropped_output: Tensor) -> Tensor:
    """AR: mean square of the last layer's *dropped* output, (time, batch, features) -> scalar.

    The paper writes an L2 norm (section 4.5); its implementation takes the mean of squares.
    """
    return mean_square(dropped_output)


def temporal_activation_regularization(output: Tensor) -> Tensor:
    """TAR: mean square change of the last layer's *undropped* output between time steps.

    (time, batch, features) -> scalar, time >= 2. Mean of squares for the paper's L2 norm, as AR.
    """
    return mean_squared_change(output)


def _mask(like: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """0 with probability ``p``, else 1 / (1 - p), of this ``shape``; type and device as ``like``.

    On a CPU four elements share one 64-bit draw: torch's own Bernoulli draws, one by one, take a
    tenth of a training step. Their generator is seeded from torch's, which thereby decides all.
    """
    if like.device.type != "cpu":
        return like.new_empty(shape).bernoulli_(1 - p).div_(1 - p)
    count = math.prod(shape)
    generator = np.random.SFC64(int(torch.randint(2**63 - 1, ())))
    drawn = generator.random_raw(math.ceil(count / 4)).view(np.int16)[:count]
    levels, least = torch.from_numpy(drawn).view(shape), int(p * LEVELS) - LEVELS // 2
    if like.dtype == torch.float32 and defined(like):
        return kernels.operators.mask(levels, least, 1 - p)
    return (levels >= least).to(like.dtype).div_(1 - p)
