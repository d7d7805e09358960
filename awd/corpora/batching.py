"""From one long stream of tokens to chunks of parallel streams."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SHORT_SHARE = 0.05
"""How often a variable length is drawn around half of bptt (Merity et al. 2018, section 4.1)."""
LENGTH_DEVIATION = 5.0
SHORTEST = 5


class Chunk(NamedTuple):
    """Where one truncated step of back-propagation lies: ``[start, start + length)``.

    ``rate_scale`` is what the learning rate is multiplied by: drawn length / bptt.
    """

    start: int
    length: int
    rate_scale: float


def batchify(stream: Tensor, batch_size: int) -> Tensor:
    """Cut a stream of n tokens into ``batch_size`` parallel ones: (n // batch_size, batch_size).

    Column b continues from one row to the next; the remainder at the end is left out.
    """
    steps = len(stream) // batch_size
    return stream[: steps * batch_size].view(batch_size, steps).t().contiguous()


def chunks(
    steps: int, bptt: int, *, variable: bool = False, seed: tuple[int, ...] = ()
) -> list[Chunk]:
    """The chunks of one epoch over ``steps`` rows, whose last row is only ever a target.

    With ``variable`` each length is drawn from Normal(bptt, 5), or with probability 5% from
    Normal(bptt / 2, 5), is at least 5, and scales the learning rate (section 4.1). Lengths depend
    on ``seed`` alone, so an epoch can be entered anywhere. The last chunk is cut to what is left
    and keeps the scale of its drawn length; a rest of one step is left out, as the reference does.
    """
    draw = np.random.default_rng(seed)
    result, start = [], 0
    while start < steps - 2:
        length, scale = bptt, 1.0
        if variable:
            mean = bptt if draw.random() >= SHORT_SHARE else bptt / 2
            length = max(SHORTEST, int(draw.normal(mean, LENGTH_DEVIATION)))
            scale = length / bptt
        result.append(Chunk(start, min(length, steps - 1 - start), scale))
        start += length
    return result


def evaluation_chunks(batches: Tensor, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(inputs, targets) of every predicted token of ``batches``, in chunks of ``length`` steps."""
    for start in range(0, len(batches) - 1, length):
        targets = batches[start + 1 : start + 1 + length]
        yield batches[start : start + len(targets)], targets


def as_stream(tokens: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """An encoded split as an int64 tensor on ``device``."""
    return torch.from_numpy(tokens.astype(np.int64)).to(device)
