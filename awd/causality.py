"""Does a model see the words that it is to predict?"""

import torch

from awd.model import LanguageModel

TOLERANCE = 1e-5
"""Largest relative change of an output that rounding may cause."""


@torch.no_grad()
def first_leak(model: LanguageModel) -> int | None:
    """How many tokens ahead the model looks: None if it is causal.

    In a random chunk as long as the model's bptt, each token in turn is replaced by another; the
    outputs before it must stay as they were, since they are what it is predicted from. Returns the
    smallest distance from a changed output to the token that changed it, so 1 means that the
    output which predicts a word has read that word.
    """
    was_training = model.training
    model.eval()
    length, vocabulary = model.spec.bptt, len(model.embedding)
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(vocabulary, (length, 1), generator=draw).to(model.embedding.device)
    # A column for the text as it is, and one for each position with another word there.
    columns = text.repeat(1, length + 1)
    positions = torch.arange(length, device=text.device)
    columns[positions, positions + 1] = (text[:, 0] + 1) % vocabulary
    outputs = model(columns, model.initial_state(length + 1)).dropped
    model.train(was_training)
    changes = (outputs[:, 1:] - outputs[:, :1]).abs().amax(2) / outputs.abs().amax()
    when, where = (changes > TOLERANCE).nonzero(as_tuple=True)
    distances = (where - when)[where > when]
    return int(distances.min()) if len(distances) else None
