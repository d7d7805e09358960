"""Where a text's true entropy is known, no honest model goes below it."""

import math
from collections.abc import Mapping

from awd.vocabulary import HELD_OUT

CHANCE = 1e-6
"""How often an honest evaluation may raise the alarm, at most."""


def below_floor(entropy: Mapping, splits: Mapping[str, Mapping]) -> str | None:
    """What is wrong with the losses of a text whose source is known, or None.

    The likelihood ratio of any model to the text's true source has mean one over the texts that
    the source makes. So (Markov's inequality) a model that has not seen a text is ahead of the
    source by more than ln(1 / CHANCE) = 13.8 nats, over the whole of it, with a probability below
    CHANCE, whatever the length of the text.

    Args:
        entropy: of a corpus record: for valid and test the ``nll`` of the text under its source.
        splits: of an evaluation record, with the model's ``nll``.
    """
    for split in HELD_OUT:
        lead = entropy[split]["nll"] - splits[split]["nll"]
        if lead > math.log(1 / CHANCE):
            return (
                f"it is {lead:.0f} nats below the true entropy of the {split} text, "
                "which no model can be without having seen it"
            )
    return None
