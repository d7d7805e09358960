"""Words that records, curves and plans share, each defined once.

Members are strings and compare equal to the words in files.
"""

from enum import StrEnum

END = "<eos>"
"""The word at the end of every line of a text."""
UNKNOWN = "<unk>"
"""The word that stands for words outside the vocabulary."""

DEFAULT = "default"
"""The name that stands for what a suite itself has: its corpora, its hyperparameters."""
COMBINED = "all"
"""The name of the tables of all suites together."""
EPOCHS = "-epochs"
"""What follows the name of a suite in that of its file of epochs in tables/."""
DEVICES_OF_WINDOWS = [f"{name}{number}" for name in ("com", "lpt") for number in range(10)]
DEVICES_OF_WINDOWS += ["con", "prn", "aux", "nul"]
RESERVED = {
    DEFAULT: "it stands for what a suite itself has",
    COMBINED: "it stands for all suites together",
    **dict.fromkeys(DEVICES_OF_WINDOWS, "Windows can have no file of that name"),
}
"""Names that nothing of the user's may have -> why: no suite, corpus or recipe."""
RESERVED_OF_SUITES = RESERVED | {"numbers": "tables/numbers.tex has the numbers of all suites"}
"""Names that no suite may have -> why."""


class Stage(StrEnum):
    """A stage of a run: the training, then the fine-tuning of Merity et al. 2018, section 5."""

    TRAIN = "train"
    FINETUNE = "finetune"


def stages_to(last: str) -> tuple[Stage, ...]:
    """Return the stages that weights of the stage ``last`` have gone through."""
    return tuple(Stage)[: list(Stage).index(Stage(last)) + 1]


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
    HOPELESS = "hopeless"  # stopped: no better than word frequencies (stop_hopeless)
    LEAKS = "leaks"  # the model reads words that it is to predict
    MISSING = "missing"  # of a row: no result yet


FAILED = (Status.DIVERGED, Status.HOPELESS)
"""The outcomes of trainings that have no perplexity to compare."""


class LeftOut(StrEnum):
    """Why trainings do not share the noise of training of other rows."""

    ASTRAY = "astray"  # one predicts no better than word frequencies
    SPREADS = "spreads"  # their losses spread far more than those of others
    PROTOCOL = "protocol"  # they were measured by another protocol than most on their corpus


class Event(StrEnum):
    """What the end of an epoch changed; the column ``event`` of a curve begins with it."""

    AVERAGING_STARTS = "averaging starts"
    LEARNING_RATE = "learning rate"  # followed by the new rate


class Device(StrEnum):
    """Where a process computes."""

    CPU = "cpu"
    CUDA = "cuda"
