"""What a run costs before it is trained: parameters, operations, seconds on a core or a GPU."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import NamedTuple

from awd.study.spec import GATES, SHRINKING, RunSpec, cutoffs
from awd.vocabulary import HELD_OUT, Stage


class Speed(NamedTuple):
    """The speed of one core in a training."""

    fp32: float
    """FLOP/s in matrix products."""
    bf16: float
    """FLOP/s in matrix products with operands in bf16."""
    update: float
    """Seconds that an update takes beside its matrix products."""


SPEEDS = {
    "Zen 5, AVX512-BF16": Speed(202e9, 366e9, 0.003),
    "Zen 4, AVX2": Speed(64e9, 56e9, 0.007),
    "AMX": Speed(132e9, 375e9, 0.010),
}
"""By machine.cpu.kind, fitted to the models of benchmarks/speed.py and of the demo (docs/speed.md).

On AMD the kernels of 0.2.0 and later were measured, on Intel awd 0.1.0.
"""
USUAL_CPU = "Zen 4, AVX2"
"""The CPU whose speed is taken where that of this machine is not known."""
START = 2.0
"""Seconds of a core from the start of a job that trains or evaluates until it does."""
WORKFLOW, FIGURE = 14.0, 1.2
"""Seconds of a core for Snakemake, text, tables and page of one study, and for each figure.

They and START were measured on Zen 4, by a study of three trainings and two figures.
"""
SINGLE = 4
"""Bytes of a number in single precision."""
GPU_RATE = 2.8e12
"""FLOP/s of AWD-LSTM on a GTX 1080 Ti: 48.47 s per PTB epoch in the logs of Yoon et al."""


class Size(NamedTuple):
    """All that decides how long a training takes for a token, but regularisers and the machine."""

    precision: str
    cell: str
    optimizer: str
    batch_size: int
    bptt: int
    parameters: int
    operations: int


def size(spec: RunSpec, vocabulary: int) -> Size:
    """Return the size of a run over ``vocabulary`` word types."""
    return Size(
        *(spec.precision, spec.cell, spec.optimizer, spec.batch_size, spec.bptt),
        parameters(spec, vocabulary),
        operations(spec, vocabulary),
    )


def core_seconds(size: Size, speed: Speed) -> float:
    """Estimate how long one core trains for each token."""
    rate = speed.bf16 if size.precision == "bf16" else speed.fp32
    return size.operations / rate + speed.update / (size.batch_size * size.bptt)


def gpu_seconds(size: Size) -> float:
    """Estimate how long a GPU trains for each token."""
    return size.operations / GPU_RATE


def read_tokens(spec: RunSpec, stages: Collection[str], sizes: Mapping) -> float:
    """Return the number of tokens whose training takes as long as ``stages``.

    Each epoch trains on the training text and reads the validation text, forward alone, which is
    a third of the operations of training.

    ``sizes`` is {"vocabulary": types, "tokens": {split: tokens}} of the corpus.
    """
    epochs = {Stage.TRAIN: spec.epochs, Stage.FINETUNE: spec.finetune_epochs}
    tokens = sizes["tokens"]
    each = train_tokens(spec, tokens["train"]) + tokens["valid"] / 3
    return each * sum(epochs[Stage(stage)] for stage in stages)


def kept_bytes(spec: RunSpec, stages: int, evaluations: int, sizes: Mapping) -> float:
    """Estimate the bytes that stay: the weights of each stage, the losses of each evaluation.

    Both are in single precision; losses are those of each token of the held-out splits.
    """
    losses = evaluations * sum(sizes["tokens"][split] for split in HELD_OUT)
    return SINGLE * (stages * parameters(spec, sizes["vocabulary"]) + losses)


def checkpoint_bytes(spec: RunSpec, sizes: Mapping) -> float:
    """Estimate the bytes of the checkpoints of a run that trains: two generations.

    Each has the weights, the best weights, the averages of NT-ASGD, and the two moments of AdamW.
    """
    copies = {"sgd": 2, "nt-asgd": 3, "adamw": 4}[spec.optimizer]
    return 2 * copies * SINGLE * parameters(spec, sizes["vocabulary"])


def train_tokens(spec: RunSpec, available: int) -> int:
    """Return how many of the ``available`` tokens of the training text are used."""
    return min(spec.train_tokens or available, available)


def operations(spec: RunSpec, vocabulary: int) -> int:
    """Count floating-point operations of training per token: 6 per parameter in a product.

    The two directions of objective both-directions share a decoder, and use it once each.
    """
    uses = 2 if spec.objective == "both-directions" else 1
    return 6 * (_recurrent_parameters(spec) + uses * _decoder_parameters(spec, vocabulary))


def parameters(spec: RunSpec, vocabulary: int) -> int:
    """Count the trainable parameters of the model over ``vocabulary`` word types."""
    outputs = sum(width for _, width in spec.layer_sizes())
    biases = spec.stacks * 2 * GATES[spec.cell] * outputs
    embedding = 0 if spec.tied else vocabulary * spec.embedding_size
    if spec.softmax == "adaptive":
        bounds = cutoffs(vocabulary)
        biases += bounds[0] + len(bounds)
    else:
        biases += vocabulary
    matrices = _recurrent_parameters(spec) + _decoder_parameters(spec, vocabulary)
    return matrices + biases + embedding


def _recurrent_parameters(spec: RunSpec) -> int:
    features = spec.features
    count = 4 * features**2 + features if spec.attention_window else 0
    for width_in, width_out in spec.layer_sizes():
        directions = 2 if spec.bidirectional else 1
        width = width_out // directions
        count += spec.stacks * directions * GATES[spec.cell] * width * (width_in + width)
    return count


def _decoder_parameters(spec: RunSpec, vocabulary: int) -> int:
    features = spec.features
    if spec.softmax == "full":
        return vocabulary * features
    bounds = [*cutoffs(vocabulary), vocabulary]
    count = features * (bounds[0] + len(bounds) - 1)
    for number, (start, end) in enumerate(pairwise(bounds), 1):
        narrow = int(features // SHRINKING**number)
        count += narrow * (features + end - start)
    return count
