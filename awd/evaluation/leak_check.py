"""Check that a model does not see the words that it predicts.

The check reads text as the evaluation does, chunk by chunk. It replaces a word of a text by
another; predictions at or before its place must not change. Its place is taken from the targets of
the evaluation: the one whose target is the replaced word. So the check finds targets that are off
by one as well as a model that looks ahead.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from awd.evaluation.perplexity import readings
from awd.model.language_model import LanguageModel

TOLERANCE = 1e-5
"""Largest change of a prediction, relative to the largest loss, that rounding may cause."""
ALONE = 8
"""Words replaced in a text that is read by itself."""


@torch.no_grad()
def first_leak(model: LanguageModel) -> int | None:
    """How many words ahead of what it has read the model looks: None if it does not.

    1 is the word that it is to predict. A cloze model may see any other word; it leaks if it sees
    that one.

    The text is random and a little longer than the model's bptt. First all its variants, one for
    each word, are read side by side, which is cheap; then some are read by themselves, since
    statistics over a batch would change all columns alike and hide.
    """
    length, vocabulary = model.spec.bptt + 2, len(model.embedding)
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(vocabulary, (length,), generator=draw).to(model.embedding.device)
    variants = [text, *(replaced(text, place, vocabulary) for place in range(1, length))]
    some = torch.linspace(1, length - 1, min(ALONE, length - 1)).round().int().tolist()
    found = []
    for group in ([variants], [[variants[place]] for place in (0, *some)]):
        watched = [watch(model, torch.stack(texts, dim=1)) for texts in group]
        targets, losses = (torch.cat(parts, dim=2) for parts in zip(*watched, strict=True))
        found += _looks_ahead(targets, losses)
    if model.spec.objective == "cloze":
        found = [ahead for ahead in found if ahead == 1]
    return min(found, default=None)


def first_leak_of_losses(
    losses: Callable[[Tensor], Tensor], text: Tensor, words: int
) -> int | None:
    """How many words ahead an evaluation method looks, of which only the losses are known.

    The word itself has a loss of its own, so what is found is at least 2.

    Args:
        losses: (tokens) int64 to the (tokens - 1) losses of all but the first.
        text: (tokens) to try it with.
        words: size of the vocabulary.
    """
    plain, found = losses(text), []
    for place in torch.linspace(2, len(text) - 1, 4).round().int().tolist():
        moved = (losses(replaced(text, place, words)) - plain)[: place - 1].abs()
        rows = (moved > TOLERANCE * plain.abs().max()).nonzero()
        found += [place - row for row in rows[:, 0].tolist()]
    return min(found, default=None)


def replaced(text: Tensor, place: int, words: int) -> Tensor:
    """The (tokens) with another word of ``words`` at ``place``."""
    other = text.clone()
    other[place] = (text[place] + 1) % words
    return other


def watch(model: LanguageModel, batches: Tensor) -> tuple[Tensor, Tensor]:
    """Targets, and the loss of one and the same word everywhere: (steps, directions, texts).

    Any change of what is predicted moves the probability of that word.
    """
    read = [
        (targets, model.token_losses(output.dropped, torch.zeros_like(targets)))
        for output, targets in readings(model, batches, model.spec.bptt)
    ]
    targets, losses = (torch.cat(parts) for parts in zip(*read, strict=True))
    shape = (len(targets), -1, batches.shape[1])
    return targets.view(shape), losses.view(shape)


def _looks_ahead(targets: Tensor, losses: Tensor) -> list[int]:
    """Distances from a prediction that moved forward to the word whose replacement moved it.

    Both are (steps, directions, texts); the first text is the one without a replaced word.
    """
    moved = (losses - losses[..., :1]).abs() > TOLERANCE * losses.abs().max()
    steps = torch.arange(len(targets), device=targets.device).view(-1, 1, 1)
    # Where the replaced word is the target; -1 if it never is, as the first one of a text.
    place = steps.where(targets != targets[..., :1], -1).amax(0, keepdim=True)
    ahead = place - steps + 1
    return ahead[moved & (ahead > 0)].unique().tolist()
