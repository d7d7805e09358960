"""Words that records, curves and plans share, each defined once.

Members are strings and compare equal to the words in files.
"""

from enum import StrEnum

END = "<eos>"
"""The word at the end of every line of a text."""
UNKNOWN = "<unk>"
"""The word that stands for words outside the vocabulary."""


class Stage(StrEnum):
    """A stage of a run: the training, then the fine-tuning of Merity et al. 2018, section 5."""

    TRAIN = "train"
    FINETUNE = "finetune"


class Split(StrEnum):
    """A part of a corpus."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


HELD_OUT = (Split.VALID, Split.TEST)
"""The splits whose perplexity is reported."""


class Status(StrEnum):
    """The outcome of a training, of an evaluation, or of a row."""

    DONE = "done"
    PARTIAL = "partial"  # of a row: some seeds have no result yet
    DIVERGED = "diverged"  # the loss became nan or infinite
    LEAKS = "leaks"  # the model reads words that it is to predict
    MISSING = "missing"  # of a row: no result yet


class Event(StrEnum):
    """What the end of an epoch changed; the column ``event`` of a curve begins with it."""

    AVERAGING_STARTS = "averaging starts"
    LEARNING_RATE = "learning rate"  # followed by the new rate


class Device(StrEnum):
    """Where a process computes."""

    CPU = "cpu"
    CUDA = "cuda"
