"""Compare a model with the true entropy of a text, where that is known."""

import math
from collections.abc import Mapping

from awd.vocabulary import HELD_OUT

CHANCE = 1e-6
"""Largest probability of a false alarm."""


def below_floor(entropy: Mapping, splits: Mapping[str, Mapping]) -> str | None:
    """Return a sentence if the losses of a text of known source are too low, else None.

    The likelihood ratio of any model to the text's true source has mean one over the texts that
    the source generates. So, by Markov's inequality, a model that has not seen the text is better
    than the source by more than ln(1 / CHANCE) = 13.8 nats over the whole text with a probability
    below CHANCE, for texts of any length.

    Args:
        entropy: of a corpus record: for valid and test the ``nll`` of the text under its source.
        splits: of an evaluation record, with the model's ``nll``.
    """
    for split in HELD_OUT:
        lead = entropy[split]["nll"] - splits[split]["nll"]
        if lead > math.log(1 / CHANCE):
            return (
                f"it is {lead:.0f} nats below the true entropy of the {split} text, "
                "which is possible only for a model that has seen it"
            )
    return None
