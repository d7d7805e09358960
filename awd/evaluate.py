"""Evaluation of trained weights: which method, on which text, into which record."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from torch import Tensor

from awd.batching import as_stream
from awd.blocks import block_sums
from awd.cache import cache_losses, grid
from awd.causality import first_leak
from awd.corpora import END, Corpus
from awd.dynamic import dynamic_losses, gradient_statistics
from awd.ensemble import ensemble_losses
from awd.errors import InputError
from awd.files import atomic, write_json
from awd.frequencies import losses_by_frequency
from awd.methods import Method
from awd.model import LanguageModel
from awd.perplexity import mean_loss, perplexity, stream_losses
from awd.provenance import now, provenance
from awd.spec import RunSpec, make_spec
from awd.stages import read_record, read_weights


def evaluate_stage(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    method: Method,
    folder: Path,
    *,
    device: torch.device,
    members: Sequence[Path] = (),
) -> dict:
    """Measure the weights that ``stage`` left in ``folder`` and write {stage}.{method}.json there.

    The record has the losses of the test text by block, too, which intervals of differences are
    made of. Beside it goes {stage}.{method}.npz, the loss of each predicted token of both splits.
    The plain stream is also measured on the training text. A model that sees the words it predicts
    is marked as leaking. A training that diverged has no perplexity; its evaluation says so and
    goes on.

    Args:
        members: folders of the other runs of an ensemble, trained like this one.

    Returns the record. Raises InputError where a stage has left no record or weights.
    """
    started, clock = now(), time.perf_counter()
    trained = read_record(folder, stage)
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} holds the run {trained['run']}, not that of this spec")
    records = [trained, *(read_record(member, stage) for member in members)]
    diverged = next((record for record in records if record["status"] == "diverged"), None)
    status, reason = "done", None
    splits, losses = {}, {"valid": numpy.empty(0), "test": numpy.empty(0)}
    if diverged is not None:
        status, reason = "diverged", diverged["reason"]
    else:
        models = [_load(spec, corpus, path, stage, device) for path in (folder, *members)]
        if (ahead := first_leak(models[0])) is not None:
            status, reason = "leaks", f"the model reads {ahead} token(s) ahead of what it predicts"
        measured = _measure(models, corpus, method, device)
        for split, values in measured.items():
            splits[split] = {
                "nll": values.double().sum().item(),
                "tokens": values.numel(),
                "perplexity": perplexity(mean_loss(values)),
                "batch_size": values.shape[1],
            }
        losses = {split: measured[split][:, 0].numpy() for split in losses}
        end = corpus.vocabulary.index(END) if END in corpus.vocabulary else None
        splits["test"]["blocks"] = block_sums(losses["test"], corpus.test[1:], end)
        for split, nats in losses.items():
            splits[split]["by_frequency"] = losses_by_frequency(
                nats, getattr(corpus, split)[1:], corpus.train, len(corpus.vocabulary)
            )
    record = {
        "format": 1,
        "run": trained["run"],
        "stage": stage,
        "method": method.name,
        "status": status,
        "reason": reason,
        "spec": trained["spec"],
        "corpus": trained["corpus"],
        "members": [member["run"] for member in records[1:]],
        "splits": splits,
        "protocol": {
            "mode": "stream",
            "carried_state": True,
            "eos_counted": True,
            "chunk": spec.bptt,
            **method.settings,
        },
        **provenance(device),
        "started": started,
        "ended": now(),
        "seconds": round(time.perf_counter() - clock, 3),
    }
    with atomic(folder / f"{stage}.{method.name}.npz") as temporary:
        numpy.savez_compressed(temporary, **losses)
    write_json(folder / f"{stage}.{method.name}.json", record)
    return record


def tune_cache(
    corpus: Corpus,
    folder: Path,
    stage: str,
    windows: Sequence[int],
    thetas: Sequence[float],
    weights: Sequence[float],
    *,
    device: torch.device,
) -> list[tuple[int, float, float, float]]:
    """(window, theta, weight, validation perplexity) of each combination of cache settings.

    For the weights that ``stage`` left in ``folder``; the test text is not touched. Raises
    InputError where there are none, or they belong to another corpus.
    """
    trained = read_record(folder, stage)
    spec = make_spec(trained["spec"], str(folder))
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} was not trained on this text of '{corpus.name}'")
    model = _load(spec, corpus, folder, stage, device)
    return grid(model, as_stream(corpus.valid, device), windows, thetas, weights)


def _load(
    spec: RunSpec, corpus: Corpus, folder: Path, stage: str, device: torch.device
) -> LanguageModel:
    model = LanguageModel(spec, len(corpus.vocabulary)).to(device)
    model.load_state_dict(read_weights(folder, stage, device, "evaluating"))
    return model


def _measure(
    models: list[LanguageModel], corpus: Corpus, method: Method, device: torch.device
) -> dict[str, Tensor]:
    """Token losses (predicted tokens, parallel streams) of each split, on the CPU."""
    model = models[0]

    def stream(split):
        return as_stream(getattr(corpus, split), device)

    if method.kind == "stream":
        # The training text is long and only its mean is asked for: parallel streams will do.
        batch_sizes = {"train": model.spec.batch_size, "valid": 1, "test": 1}
        return {
            split: stream_losses(model, stream(split), size).cpu()
            for split, size in batch_sizes.items()
        }
    if method.kind == "cache":
        settings = method.plain_settings()

        def losses(text):
            return cache_losses(model, text, **settings)

    elif method.kind == "dynamic":
        settings = method.plain_settings()
        statistics = gradient_statistics(model, stream("train"), bptt=settings["bptt"])

        def losses(text):
            return dynamic_losses(model, text, statistics, **settings)

    else:

        def losses(text):
            return ensemble_losses(models, text)

    return {split: losses(stream(split)).cpu()[:, None] for split in ("valid", "test")}
