"""Build the model of a run from its weights."""

from pathlib import Path
from typing import NamedTuple

import torch

from awd.corpora import Corpus
from awd.model.language_model import LanguageModel
from awd.runs.find import corpus_of, trained_record
from awd.runs.read_weights import read_weights
from awd.study.spec import RunSpec, make_spec


class TrainedModel(NamedTuple):
    """A model with the words that it has, and the record of its training."""

    model: LanguageModel
    corpus: Corpus
    record: dict


def load_model(
    spec: RunSpec, corpus: Corpus, folder: Path, stage: str, device: torch.device
) -> LanguageModel:
    """Return the model of ``spec`` with the weights that ``stage`` left in ``folder``.

    Raises InputError if there are no weights, or if they are damaged.
    """
    model = LanguageModel(spec, len(corpus.vocabulary)).to(device)
    model.load_state_dict(read_weights(folder, stage, device, "evaluating"))
    return model


def open_run(folder: Path, stage: str | None, device: torch.device) -> TrainedModel:
    """Return the model of the run in ``folder``, in evaluation mode; of the last stage if None.

    Raises InputError if the run has no such stage or no weights, if it diverged, or if its corpus
    is not there.
    """
    record = trained_record(folder, stage)
    corpus = corpus_of(folder, record)
    spec = make_spec(record["spec"], str(folder))
    model = load_model(spec, corpus, folder, record["stage"], device)
    return TrainedModel(model.eval(), corpus, record)
