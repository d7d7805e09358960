"""What a job asks a cluster for: minutes and memory, more with each attempt.

The estimates are generous: a job that asks for too little is killed, one that asks for too much
waits longer. A training that runs out of time goes on from its checkpoint in the next attempt.
"""

import math

from awd.study import cost
from awd.study.spec import RunSpec

MARGIN = 2
"""How much slower than `cost` estimates a machine may be."""
LEAST_MINUTES, MOST_MINUTES = 30, 1440
"""The longest request is a day: many partitions refuse more."""
MEGABYTE = 1e6
ON_CPU, ON_GPU = 1_500, 6_000
"""Megabytes of the program and its libraries, on a CPU and with CUDA."""
COPIES = 10
"""Of the parameters: weights, gradients, best weights, averages, moments, and a checkpoint."""
SCORES = 6
"""Copies of a batch's scores of all words, in and beside the softmax."""
MOST_MEGABYTES = 64_000


def minutes(seconds: float | None, attempt: int = 1) -> int:
    """Return the minutes to ask for, of a job that takes about ``seconds``; None is unknown."""
    if seconds is None:
        return MOST_MINUTES
    wanted = max(LEAST_MINUTES, math.ceil(seconds * MARGIN / 60))
    return min(MOST_MINUTES, wanted * attempt)


def megabytes(spec: RunSpec, vocabulary: int | None, *, gpu: bool, attempt: int = 1) -> int:
    """Return the megabytes of the host's memory to ask for, over ``vocabulary`` word types."""
    wanted = float(ON_GPU if gpu else ON_CPU)
    if vocabulary is not None:
        scores = spec.batch_size * spec.bptt * vocabulary
        numbers = COPIES * cost.parameters(spec, vocabulary) + SCORES * scores
        wanted += cost.SINGLE * numbers / MEGABYTE
    return min(MOST_MEGABYTES, math.ceil(wanted) * attempt)
