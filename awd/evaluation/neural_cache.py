"""Neural cache: recently read words become more likely where the model's state is similar.

Grave, Joulin and Usunier 2017, "Improving Neural Language Models with a Continuous Cache", used
at evaluation by Merity et al. 2018. With h_t the last layer's undropped output after reading word
x_t, the cache predicts (section 3)

    p_cache(x_{t+1} = w)  ~  sum over the last ``window`` positions i < t of
                             [x_{i+1} = w] exp(theta h_t . h_i)

and the model becomes weight * p_cache + (1 - weight) * p_vocabulary. Only the probability of the
word that did follow is needed, so the cache makes neither a distribution over the vocabulary nor
a one-hot history.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from awd.corpora.batching import batchify, evaluation_chunks
from awd.errors import InputError
from awd.evaluation.perplexity import perplexity, total
from awd.model.arithmetic import exp, log, product, row_sums, softmax
from awd.model.language_model import LanguageModel

BLOCK = 256
"""Most positions compared with their windows at once: 4 MB of scores for a window of 4,000."""


class _Block(NamedTuple):
    """Consecutive positions of the stream, each with the ``depth`` positions before it.

    position: (block), 0 for the first token of the stream.
    losses: (block), of the model alone, in nats.
    scores: (block, depth), h_t . h_i, oldest i first; 0 before the start of the stream.
    matches: (block, depth), whether i was followed by the word that also followed t.
    """

    position: Tensor
    losses: Tensor
    scores: Tensor
    matches: Tensor


@torch.no_grad()
def cache_losses(
    model: LanguageModel,
    stream: Tensor,
    *,
    window: int,
    theta: float,
    weight: float,
) -> Tensor:
    """Negative log likelihood of every predicted token of ``stream`` with a cache, in nats.

    Reads the stream as evaluation.perplexity.stream_losses does at batch size 1. As in the
    implementation Merity et al. ran, the cache takes part once *more than* ``window`` tokens came
    before; the equation does not ask for that. That implementation also leaves the cache out at the
    first token of each of its chunks (one in 5,000); this one does not.

    Memory beyond the model's is (window + BLOCK) states and a few times BLOCK x (window + BLOCK)
    scores, whatever the vocabulary: some 80 MB for the published setting on WikiText-2.

    Args:
        stream: (tokens), int64.
        window: positions the cache remembers.
        theta: how sharply it prefers similar states; 0 counts words.
        weight: share of the cache in the mixture, from 0 to 1.

    Returns (tokens - 1). Raises InputError for values outside these ranges.
    """
    _check([window], [theta], [weight])
    blocks = _blocks(model, stream, window)
    return torch.cat([_losses(block, window, theta, [weight])[0] for block in blocks])


@torch.no_grad()
def grid(
    model: LanguageModel,
    stream: Tensor,
    windows: Sequence[int],
    thetas: Sequence[float],
    weights: Sequence[float],
) -> list[tuple[int, float, float, float]]:
    """(window, theta, weight, perplexity) of every combination of cache settings.

    Made for choosing settings, therefore for the *validation* stream only: the best of many on
    the test stream is no test any more. The model reads the stream once for all combinations, and
    states are compared once, over the longest window. Arguments and errors as in cache_losses.
    """
    _check(windows, thetas, weights)
    shapes = list(itertools.product(windows, thetas))
    totals = {shape: [0.0] * len(weights) for shape in shapes}
    for block in _blocks(model, stream, max(windows)):
        for window, theta in shapes:
            losses = _losses(block, window, theta, weights)
            totals[window, theta] = [
                before + total(each)
                for before, each in zip(totals[window, theta], losses, strict=True)
            ]
    return [
        (window, theta, weight, perplexity(nll / (len(stream) - 1)))
        for window, theta in shapes
        for weight, nll in zip(weights, totals[window, theta], strict=True)
    ]


def _check(windows: Sequence[int], thetas: Sequence[float], weights: Sequence[float]) -> None:
    for name, values, least, most in (
        ("window", windows, 1, math.inf),
        ("theta", thetas, 0, math.inf),
        ("weight", weights, 0, 1),
    ):
        if not values:
            raise InputError(f"cache: no {name} to try")
        for value in values:
            if not least <= value <= most or math.isinf(value):
                allowed = f"at least {least}" + (f" and at most {most}" if most < math.inf else "")
                raise InputError(f"cache: {name} must be {allowed}, not {value}")


def _losses(block: _Block, window: int, theta: float, weights: Sequence[float]) -> Tensor:
    """Losses of the linear mixture for each of ``weights``, (weights, block)."""
    scores = theta * block.scores[:, -window:]
    attention = softmax(scores)
    cache = log(row_sums(attention.mul_(block.matches[:, -window:])))
    shares = block.losses.new_tensor(weights)[:, None]
    mixed = -_log_of_sum(log(shares) + cache, log(1 - shares) - block.losses)
    takes_part = block.position > window
    return torch.where(takes_part, mixed, block.losses)


def _log_of_sum(one: Tensor, other: Tensor) -> Tensor:
    """log(exp(one) + exp(other)), also where one of them or both are -inf."""
    larger = torch.maximum(one, other).clamp_(min=torch.finfo(one.dtype).min)
    return larger + log(exp(one - larger) + exp(other - larger))


def _blocks(model: LanguageModel, stream: Tensor, window: int) -> Iterator[_Block]:
    """All predicted positions of ``stream`` in order, at most BLOCK at a time.

    ``products`` has a row for each new output o and a column for each state that is before one of
    them: the ``depth`` states s that were kept, then the new outputs without the last. A position
    needs the ``depth`` states just before it, x, which is a band. For depth 4 and three outputs:

             s0 s1 s2 s3 o0 o1
        o0    x  x  x  x  .  .
        o1    .  x  x  x  x  .
        o2    .  .  x  x  x  x
    """
    depth = min(window, len(stream) - 1)
    # Before the stream's first token lies a window of zero states that no word followed.
    followers = stream.new_full((depth,), -1)
    states, start = None, 0
    for outputs, losses, targets in _outputs(model, stream):
        if states is None:
            states = outputs.new_zeros(depth, outputs.shape[1])
        states, followers = torch.cat([states, outputs]), torch.cat([followers, targets])
        count = len(targets)
        products = product(outputs, states[:-1].t())
        # The band as a matrix, not copied: each next row begins one row and one column further on.
        scores = products.as_strided((count, depth), (sum(products.stride()), products.stride(1)))
        position = torch.arange(start, start + count, device=stream.device)
        matches = followers[:-1].unfold(0, depth, 1) == targets[:, None]
        yield _Block(position, losses, scores, matches)
        states, followers, start = states[-depth:], followers[-depth:], start + count


def _outputs(model: LanguageModel, stream: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(raw outputs (n, features), losses (n), targets (n)) along ``stream``, n at most BLOCK."""
    was_training = model.training
    model.eval()
    try:
        state, waiting = model.initial_state(1), []
        chunks = evaluation_chunks(batchify(stream, 1), model.spec.bptt)
        for tokens, targets in chunks:
            output, raw, state = model(tokens, state)
            losses = model.token_losses(output, targets)
            waiting.append((raw[:, 0], losses[:, 0], targets[:, 0]))
            if (len(waiting) + 1) * model.spec.bptt > BLOCK:
                yield from _joined(waiting)
                waiting = []
        yield from _joined(waiting)
    finally:
        model.train(was_training)


def _joined(waiting: list[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """Short chunks put together, long ones cut, to at most BLOCK positions."""
    return zip(
        *(torch.cat(parts).split(BLOCK) for parts in zip(*waiting, strict=True)), strict=True
    )
