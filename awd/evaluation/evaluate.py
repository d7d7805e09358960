"""Evaluation of trained weights: which method, on which text, into which record."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from awd.corpora import END, Corpus
from awd.corpora.batching import as_stream
from awd.errors import InputError
from awd.evaluation.breakdown import block_sums, losses_by_frequency
from awd.evaluation.dynamic import dynamic_losses, gradient_statistics
from awd.evaluation.ensemble import ensemble_losses
from awd.evaluation.entropy_floor import below_floor
from awd.evaluation.leak_check import first_leak, first_leak_of_losses
from awd.evaluation.neural_cache import cache_losses, grid
from awd.evaluation.perplexity import mean_loss, perplexity, reading_length, stream_losses
from awd.files import atomic, write_json
from awd.model.language_model import LanguageModel
from awd.runs.checkpoint import Checkpoint
from awd.runs.folder import read_record, read_weights
from awd.runs.protocol import make_protocol
from awd.runs.provenance import now, provenance
from awd.study.methods import Method
from awd.study.spec import RunSpec, make_spec


def evaluate_stage(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    method: Method,
    folder: Path,
    *,
    device: torch.device,
    members: Sequence[Path] = (),
    checkpoints: Path | None = None,
) -> dict:
    """Measure the weights that ``stage`` left in ``folder`` and write {stage}.{method}.json there.

    The record has the losses of the test text by block, too, which intervals of differences are
    made of. Beside it goes {stage}.{method}.npz, the loss of each predicted token of both splits.
    The plain stream is also measured on the training text. A model that sees the words it predicts,
    or is better than the source of its text, is marked as leaking. Of a model of both directions
    the forward one counts; the other stands beside it as a split of its own. A training that
    diverged has no perplexity; its evaluation says so and goes on.

    Args:
        members: folders of the other runs of an ensemble, trained like this one.
        checkpoints: folder of the checkpoints that are no longer needed; None keeps them.

    Returns the record. Raises InputError where a stage has left no record or weights.
    """
    started, clock = now(), time.perf_counter()
    trained = read_record(folder, stage)
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} holds the run {trained['run']}, not that of this spec")
    records = [trained, *(read_record(member, stage) for member in members)]
    diverged = next((record for record in records if record["status"] == "diverged"), None)
    status, reason = "done", None
    splits, losses = {}, {"valid": np.empty(0), "test": np.empty(0)}
    if diverged is not None:
        status, reason = "diverged", diverged["reason"]
    else:
        models = [_load(spec, corpus, path, stage, device) for path in (folder, *members)]
        measured, ahead = _measure(models, corpus, method, device)
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
        entropy = corpus.info.get("entropy", {})
        for split in splits.keys() & entropy.keys():
            source = entropy[split]
            splits[split]["floor"] = perplexity(source["nll"] / source["tokens"])
        if ahead is not None:
            status, reason = "leaks", f"the model reads {ahead} token(s) ahead of what it predicts"
        elif entropy and spec.objective != "cloze":
            reason = below_floor(entropy, splits)
            status = "leaks" if reason else "done"
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
        "protocol": make_protocol(spec, corpus, method, reading_length(spec, 1)),
        **provenance(device),
        "started": started,
        "ended": now(),
        "seconds": round(time.perf_counter() - clock, 3),
    }
    with atomic(folder / f"{stage}.{method.name}.npz") as temporary:
        np.savez_compressed(temporary, **losses)
    write_json(folder / f"{stage}.{method.name}.json", record)
    if checkpoints is not None:
        for path in (folder, *members):
            Checkpoint(checkpoints, path.name, stage).remove()
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
    if spec.objective != "next-word":
        raise InputError(f"{folder}: a cache needs objective 'next-word', not '{spec.objective}'")
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
) -> tuple[dict[str, Tensor], int | None]:
    """Token losses (predicted tokens, parallel streams) of each split, on the CPU.

    And how many words ahead of what is predicted the models, or the method, look.
    """
    model = models[0]
    leaks = [ahead for each in models if (ahead := first_leak(each)) is not None]

    def stream(split):
        return as_stream(getattr(corpus, split), device)

    measured = {}
    if method.kind == "stream":
        # The training text is long and only its mean is asked for: parallel streams will do.
        batch_sizes = {"train": model.spec.batch_size, "valid": 1, "test": 1}
        for split, size in batch_sizes.items():
            losses = stream_losses(model, stream(split), size).cpu()
            measured[split] = losses[:, :size]
            if losses.shape[1] > size:
                measured[f"{split}-backward"] = losses[:, size:]
        return measured, min(leaks, default=None)
    statistics = None
    if method.kind == "dynamic":
        bptt = method.settings["dynamic_bptt"]
        statistics = gradient_statistics(model, stream("train"), bptt=bptt)
    losses = _losses(models, method.kind, method.plain_settings(), statistics)
    shortened = method.plain_settings()
    if "window" in shortened:  # so that a short text fills it
        shortened["window"] = min(shortened["window"], 8)
    tried = _losses(models, method.kind, shortened, statistics)
    text = stream("valid")[:40]
    if (ahead := first_leak_of_losses(tried, text, len(corpus.vocabulary))) is not None:
        leaks.append(ahead)
    for split in ("valid", "test"):
        measured[split] = losses(stream(split)).cpu()[:, None]
    return measured, min(leaks, default=None)


def _losses(
    models: list[LanguageModel], kind: str, settings: dict, statistics: dict | None
) -> Callable[[Tensor], Tensor]:
    """From a stream to the loss of each of its tokens but the first, by a method."""
    if kind == "cache":
        return partial(cache_losses, models[0], **settings)
    if kind == "dynamic":
        return partial(dynamic_losses, models[0], statistics=statistics, **settings)
    return partial(ensemble_losses, models)
