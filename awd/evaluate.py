"""Perplexity of a model on a stream of text."""

import math
import time
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file
from torch import Tensor

from awd.batching import as_stream, batchify, evaluation_chunks
from awd.corpora import Corpus
from awd.errors import InputError
from awd.files import atomic, read_json, write_json
from awd.model import LanguageModel
from awd.provenance import now, provenance
from awd.spec import RunSpec


def perplexity(loss: float) -> float:
    """exp(``loss``), infinite where that exceeds what a float holds or ``loss`` is not a number."""
    return math.exp(loss) if loss < 709 else math.inf


@torch.no_grad()
def stream_losses(model: LanguageModel, stream: Tensor, batch_size: int = 1) -> Tensor:
    """Negative log likelihood of every predicted token of ``stream``, in nats.

    The model is put in evaluation mode (no dropout, raw weights) and reads the stream as
    ``batch_size`` parallel ones, carrying its state from a zero start; the first token of each is
    never predicted. Chunks are as long as the model's bptt, which matters only to models that
    look ahead within a chunk.

    Args:
        stream: (tokens), int64.

    Returns (predicted tokens per stream, batch_size). Leaves the model in the mode it was in.
    """
    was_training = model.training
    model.eval()
    batches = batchify(stream, batch_size)
    state, losses = model.initial_state(batch_size), []
    for tokens, targets in evaluation_chunks(batches, model.spec.bptt):
        output, _, state = model(tokens, state)
        losses.append(model.token_losses(output, targets))
    model.train(was_training)
    return torch.cat(losses)


def mean_loss(losses: Tensor) -> float:
    """Mean of token losses in nats, summed in double precision."""
    return losses.double().mean().item()


def evaluate_stage(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    method: str,
    folder: Path,
    *,
    device: torch.device,
) -> dict:
    """Measure the weights that ``stage`` left in ``folder`` and write {stage}.{method}.json there.

    Beside it goes {stage}.{method}.npz, the loss of each predicted token of both splits. A
    training that diverged has no perplexity; its evaluation says so and goes on.

    Returns the record. Raises InputError where the stage has left no record or weights.
    """
    started, clock = now(), time.perf_counter()
    trained = read_json(folder / f"{stage}.json")
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} holds the run {trained['run']}, not that of this spec")
    splits, losses = {}, {"valid": numpy.empty(0), "test": numpy.empty(0)}
    if trained["status"] == "done":
        model = LanguageModel(spec, len(corpus.vocabulary)).to(device)
        model.load_state_dict(load_file(folder / f"{stage}.safetensors", device=str(device)))
        # The training text is long and only its mean is asked for: parallel streams will do.
        for split, batch_size in {"train": spec.batch_size, "valid": 1, "test": 1}.items():
            stream = as_stream(getattr(corpus, split), device)
            split_losses = stream_losses(model, stream, batch_size).cpu()
            if split in losses:
                losses[split] = split_losses[:, 0].numpy()
            splits[split] = {
                "nll": split_losses.double().sum().item(),
                "tokens": split_losses.numel(),
                "perplexity": perplexity(mean_loss(split_losses)),
                "batch_size": batch_size,
            }
    record = {
        "format": 1,
        "run": trained["run"],
        "stage": stage,
        "method": method,
        "status": trained["status"],
        "reason": trained["reason"],
        "spec": trained["spec"],
        "corpus": trained["corpus"],
        "splits": splits,
        "protocol": {
            "mode": "stream",
            "carried_state": True,
            "eos_counted": True,
            "chunk": spec.bptt,
        },
        **provenance(device),
        "started": started,
        "ended": now(),
        "seconds": round(time.perf_counter() - clock, 3),
    }
    with atomic(folder / f"{stage}.{method}.npz") as temporary:
        numpy.savez_compressed(temporary, **losses)
    write_json(folder / f"{stage}.{method}.json", record)
    return record
