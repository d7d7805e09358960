"""Ensembles: the mean of what independently trained models predict."""

from collections.abc import Sequence

import torch
from torch import Tensor

from awd.errors import InputError
from awd.evaluation.perplexity import stream_losses
from awd.model.arithmetic import exp, log
from awd.model.language_model import LanguageModel


def ensemble_losses(models: Sequence[LanguageModel], stream: Tensor) -> Tensor:
    """Negative log likelihood of every predicted token under the models' mean, in nats.

    The mean is the arithmetic one of probabilities, not of logits or of perplexities (Zaremba et
    al. 2014, section 4.1, "model averaging"). Each model reads the stream by itself, as
    evaluation.perplexity.stream_losses does at batch size 1, and carries its own state. Since only
    the actual word's probability is asked for, each model contributes one number per token.

    Args:
        models: trained on the same vocabulary; their sizes and kinds may differ.
        stream: (tokens), int64, on the models' device.

    Returns (tokens - 1). Raises InputError if there is no model or vocabularies differ in size.
    """
    sizes = sorted({len(model.embedding) for model in models})
    if len(sizes) != 1:
        found = f"vocabularies of {sizes} word types" if sizes else "no model at all"
        raise InputError(f"ensemble: models must share one vocabulary, but there are {found}")
    losses = [stream_losses(model, stream)[:, 0] for model in models]
    least = torch.stack(losses).amin(0)
    # Probabilities relative to the largest one, which do not underflow all together.
    relative = sum(exp(least - each) for each in losses)
    return least - log(relative / len(models))
