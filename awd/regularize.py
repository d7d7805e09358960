"""What AWD-LSTM puts on a recurrent language model, each technique a function of tensors.

Merity, Keskar and Socher 2018, "Regularizing and Optimizing LSTM Language Models". Where the paper
and its reference implementation differ, the definition is the implementation's and the difference
is named. All masks are inverted (scaled by 1 / (1 - p)), so that evaluation changes nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional


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
    return functional.dropout(weight, p)


def locked_dropout(activations: Tensor, p: float, *, training: bool) -> Tensor:
    """Variational dropout: one mask for all time steps, another for each batch row (section 4.2).

    Args:
        activations: (time, batch, features).
        p: probability that a feature of a batch row is zero.
        training: False returns ``activations`` itself.
    """
    if not training or p == 0:
        return activations
    kept = activations.new_empty(1, *activations.shape[1:]).bernoulli_(1 - p)
    return activations * kept.div_(1 - p)


def standard_dropout(activations: Tensor, p: float, *, training: bool) -> Tensor:
    """Dropout with a new mask at every time step (Zaremba et al. 2014), shapes as locked."""
    if not training or p == 0:
        return activations
    return functional.dropout(activations, p)


def embedding_dropout(tokens: Tensor, embedding: Tensor, p: float, *, training: bool) -> Tensor:
    """Look up word vectors, dropping whole word types for this forward pass (section 4.3).

    Args:
        tokens: (time, batch) of word ids.
        embedding: (vocabulary, features).
        p: probability that a word type, and so each of its occurrences, becomes a zero vector.
        training: False looks up and drops nothing.

    Returns (time, batch, features). Only the lookup is masked; a tied decoder sees the full matrix.
    """
    vectors = functional.embedding(tokens, embedding)
    if not training or p == 0:
        return vectors
    kept = embedding.new_empty(len(embedding)).bernoulli_(1 - p).div_(1 - p)
    return vectors * kept[tokens].unsqueeze(-1)


def activation_regularization(dropped_output: Tensor) -> Tensor:
    """AR: mean square of the last layer's *dropped* output, (time, batch, features) -> scalar.

    The paper writes an L2 norm (section 4.5); its implementation takes the mean of squares.
    """
    return dropped_output.square().mean()


def temporal_activation_regularization(output: Tensor) -> Tensor:
    """TAR: mean square change of the last layer's *undropped* output between time steps.

    (time, batch, features) -> scalar, time >= 2. Mean of squares for the paper's L2 norm, as AR.
    """
    return torch.diff(output, dim=0).square().mean()
