"""Evaluate trained weights by a method and write the record."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from awd.corpora import Corpus
from awd.corpora.batching import as_stream
from awd.corpora.counts import unigram_loss
from awd.corpora.sentences import line_end, predicted_places
from awd.errors import InputError
from awd.evaluation.breakdown import block_sums, losses_by_frequency
from awd.evaluation.dynamic import dynamic_losses, gradient_statistics
from awd.evaluation.ensemble import ensemble_losses
from awd.evaluation.entropy_floor import below_floor
from awd.evaluation.leak_check import first_leak, first_leak_of_losses
from awd.evaluation.neural_cache import cache_losses, grid
from awd.evaluation.perplexity import mean_loss, perplexity, reading_length, text_losses, total
from awd.evaluation.trained_model import load_model
from awd.files import atomic, write_json
from awd.model.language_model import LanguageModel
from awd.runs.checkpoint import Checkpoint
from awd.runs.folder import RECORD_FORMAT, read_record
from awd.runs.protocol import make_protocol
from awd.runs.provenance import now, provenance
from awd.study.methods import Method
from awd.study.spec import RunSpec, make_spec
from awd.vocabulary import END, FAILED, HELD_OUT, Split, Status


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
    destination: Path | None = None,
) -> dict:
    """Measure the weights that ``stage`` left in ``folder`` and write {stage}.{method}.json there.

    The record also has the losses of the test text by block, for intervals of differences. Beside
    it goes {stage}.{method}.npz, the loss of each predicted token of both held-out splits. The
    plain stream is also measured on the text that was trained on. The status is LEAKS if the model
    sees the words that it predicts, or is better than the known source of the text. A model of both
    directions is judged by the forward one; the backward one is a split of its own. The evaluation
    of a training that diverged, or is hopeless, has no splits.

    Args:
        members: folders of the other runs of an ensemble, trained by the same stage.
        checkpoints: folder of the checkpoints that are no longer needed; None keeps them.
        destination: where to write instead of ``folder``.

    Returns the record. Raises InputError if a stage has left no record or no weights.
    """
    started, clock = now(), time.perf_counter()
    corpus = corpus.first(spec.train_tokens)
    trained = read_record(folder, stage)
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} holds the run {trained['run']}, not that of this spec")
    records = [trained, *(read_record(member, stage) for member in members)]
    failed = next((each for each in records if each["status"] in FAILED), None)
    splits: dict[str, dict] = {}
    losses: dict[str, np.ndarray] = {split: np.empty(0) for split in HELD_OUT}
    if failed is not None:
        status, reason = Status(failed["status"]), failed["reason"]
    else:
        models = [load_model(spec, corpus, path, stage, device) for path in (folder, *members)]
        measured, ahead = _measure(models, corpus, method, device)
        losses = {split: measured[split][:, 0].numpy() for split in HELD_OUT}
        splits = {
            split: _summary(values) | _details(split, losses, corpus, spec.reading)
            for split, values in measured.items()
        }
        status, reason = _judge(spec, corpus, splits, ahead)
    record = {
        "format": RECORD_FORMAT,
        "run": trained["run"],
        "stage": stage,
        "method": method.name,
        "status": status,
        "reason": reason,
        "spec": trained["spec"],
        "corpus": trained["corpus"],
        "members": [member["run"] for member in records[1:]],
        "weights_sha256": trained["weights_sha256"],
        "splits": splits,
        "protocol": make_protocol(spec, corpus, method, reading_length(spec, 1)),
        **provenance(device),
        "started": started,
        "ended": now(),
        "seconds": round(time.perf_counter() - clock, 3),
    }
    destination = destination or folder
    with atomic(destination / f"{stage}.{method.name}.npz") as temporary:
        np.savez_compressed(temporary, **losses)  # type: ignore[arg-type] # no name is an option
    write_json(destination / f"{stage}.{method.name}.json", record)
    if checkpoints is not None:
        for path in (folder, *members):
            Checkpoint(checkpoints, path.name, stage).remove()
    return record


def _summary(losses: Tensor) -> dict:
    """Sum up the losses (predicted tokens, parallel streams) of a split."""
    return {
        "nll": total(losses),
        "tokens": losses.numel(),
        "perplexity": perplexity(mean_loss(losses)),
        "batch_size": losses.shape[1],
    }


def _details(split: str, losses: Mapping[str, np.ndarray], corpus: Corpus, reading: str) -> dict:
    """Break the losses of a split down; what is not measured of it is None."""
    details: dict = dict.fromkeys(("blocks", "by_frequency", "unigram_perplexity", "floor"))
    if split in losses:
        text = getattr(corpus, split)
        targets = text[predicted_places(text, line_end(reading, corpus.vocabulary))]
        if split == Split.TEST:
            end = corpus.vocabulary.index(END) if END in corpus.vocabulary else None
            details["blocks"] = block_sums(losses[split], targets, end)
        types = len(corpus.vocabulary)
        details["by_frequency"] = losses_by_frequency(losses[split], targets, corpus.train, types)
        details["unigram_perplexity"] = perplexity(unigram_loss(corpus.train, targets, types))
    # The entropy of the source is known for the whole text, not without the first words of lines.
    source = corpus.info.get("entropy", {}).get(split)
    if source and reading == "stream":
        details["floor"] = perplexity(source["nll"] / source["tokens"])
    return details


def _judge(
    spec: RunSpec, corpus: Corpus, splits: Mapping[str, Mapping], ahead: int | None
) -> tuple[Status, str | None]:
    """Return status and reason of an evaluation: whether the model sees what it predicts."""
    if ahead is not None:
        return Status.LEAKS, f"the model reads {ahead} token(s) ahead of what it predicts"
    entropy = corpus.info.get("entropy")
    comparable = spec.objective != "cloze" and spec.reading == "stream"
    if entropy and comparable and (reason := below_floor(entropy, splits)):
        return Status.LEAKS, reason
    return Status.DONE, None


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
    """Return (window, theta, weight, validation perplexity) of each combination of settings.

    Uses the weights that ``stage`` left in ``folder``, and never the test text. Raises InputError
    if there are no weights, or if they belong to another corpus.
    """
    trained = read_record(folder, stage)
    spec = make_spec(trained["spec"], str(folder))
    if trained["run"] != spec.run(corpus.fingerprint):
        raise InputError(f"{folder} was not trained on this text of '{corpus.name}'")
    if spec.reading != "stream":
        raise InputError(f"{folder}: a cache needs reading 'stream', not '{spec.reading}'")
    if spec.objective != "next-word":
        raise InputError(f"{folder}: a cache needs objective 'next-word', not '{spec.objective}'")
    model = load_model(spec, corpus, folder, stage, device)
    return grid(model, as_stream(corpus.valid, device), windows, thetas, weights)


def _measure(
    models: list[LanguageModel], corpus: Corpus, method: Method, device: torch.device
) -> tuple[dict[str, Tensor], int | None]:
    """Return the token losses (predicted tokens, parallel streams) of each split, on the CPU.

    And how many words the models or the method look ahead of what they predict; None if not.
    """
    model = models[0]
    leaks = [ahead for each in models if (ahead := first_leak(each)) is not None]

    def stream(split):
        return as_stream(getattr(corpus, split), device)

    measured = {}
    if method.kind == "stream":
        # Of the long training text only the mean is needed: parallel streams are faster.
        batch_sizes = {Split.TRAIN: model.spec.batch_size, **dict.fromkeys(HELD_OUT, 1)}
        for split, size in batch_sizes.items():
            losses = text_losses(model, stream(split), corpus.vocabulary, size).cpu()
            measured[split.value] = losses[:, :size]
            if losses.shape[1] > size:
                measured[f"{split}-backward"] = losses[:, size:]
        return measured, min(leaks, default=None)
    statistics = None
    if method.kind == "dynamic":
        bptt = int(method.settings["dynamic_bptt"])
        statistics = gradient_statistics(model, stream(Split.TRAIN), bptt=bptt)
    losses = _losses(models, method.kind, method.plain_settings(), statistics)
    shortened = method.plain_settings()
    if "window" in shortened:  # a short text must fill it
        shortened["window"] = min(shortened["window"], 8)
    tried = _losses(models, method.kind, shortened, statistics)
    text = stream(Split.VALID)[:40]
    if (ahead := first_leak_of_losses(tried, text, len(corpus.vocabulary))) is not None:
        leaks.append(ahead)
    for split in HELD_OUT:
        measured[split.value] = losses(stream(split)).cpu()[:, None]
    return measured, min(leaks, default=None)


def _losses(
    models: list[LanguageModel], kind: str, settings: dict, statistics: dict | None
) -> Callable[[Tensor], Tensor]:
    """Return the function from a stream (tokens) to the (tokens - 1) losses of a method."""
    if kind == "cache":
        return partial(cache_losses, models[0], **settings)
    if kind == "dynamic":
        assert statistics is not None
        return partial(dynamic_losses, models[0], statistics=statistics, **settings)
    return partial(ensemble_losses, models)
