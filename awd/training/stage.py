"""One stage of a run, from its inputs or its checkpoint to its record, curve and weights."""

import csv
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from awd.corpora import SPLITS, Corpus
from awd.errors import InputError
from awd.evaluation.perplexity import perplexity
from awd.files import alone, atomic, half_written, read_json, write_json
from awd.machine.out_of_memory import peak_memory
from awd.runs.checkpoint import Checkpoint
from awd.runs.folder import read_weights
from awd.runs.progress import Progress, progress_file
from awd.runs.provenance import now, provenance
from awd.study.spec import RunSpec
from awd.training.expected import contradiction
from awd.training.probes import observe
from awd.training.trainer import Diverged, Trainer

log = logging.getLogger(__name__)


def train_stage(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    folder: Path,
    *,
    device: torch.device,
    checkpoints: Path,
    checkpoint_seconds: float = 300,
    keep_checkpoints: bool = False,
    live: bool = False,
) -> dict:
    """Train one stage of a run and leave its record, curve and weights in ``folder``.

    Resumes from a checkpoint under ``checkpoints`` if there is one. A training that diverges is a
    result: its record says so, and its weights are its best ones. What another process has done of
    the stage meanwhile, as one that outlived its workflow, is not done again.

    Args:
        keep_checkpoints: of the stage before, which is otherwise no longer needed.

    Returns the record. Raises InputError if fine-tuning lacks trained weights, if the checkpoint is
    not of this code, or if the model does something else than its spec says; and Interrupted.
    """
    run = spec.run(corpus.fingerprint)
    if folder.name != run:
        raise InputError(f"this spec and corpus make the run {run}, which {folder} is not named")
    checkpoint = Checkpoint(checkpoints, run, stage)
    with alone(folder) as waited:
        if waited and (folder / f"{stage}.json").exists():
            return read_json(folder / f"{stage}.json")
        trainer, mechanisms = _trainer(spec, corpus, stage, folder, device, checkpoint)
        status, reason = "done", None
        told = {"tokens": trainer.batches.numel(), "file": progress_file(checkpoints, run, stage)}
        with Progress(f"{run} {stage}", trainer.epochs, live=live, **told) as progress:
            try:
                trainer.run(checkpoint, checkpoint_seconds, progress)
            except Diverged as error:
                status, reason = "diverged", str(error)
                log.warning("%s: diverged: %s", run, reason)
        record = _record(run, trainer, mechanisms, corpus, status, reason)
        _write(folder, stage, trainer, record)
        progress.remove()
    if stage == "finetune" and not keep_checkpoints:
        Checkpoint(checkpoints, run, "train").remove()
    return record


def _trainer(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    folder: Path,
    device: torch.device,
    checkpoint: Checkpoint,
) -> tuple[Trainer, dict]:
    """The stage's trainer, where its checkpoint says or at its beginning, and what it does."""
    weights = None
    if stage == "finetune":
        weights = read_weights(folder, "train", device, "fine-tuning")
    trainer = Trainer(spec, corpus, stage, device, weights)
    mechanisms = observe(trainer)
    if (said := contradiction(spec, stage, mechanisms)) is not None:
        raise InputError(f"{checkpoint.identity}: {said}")
    if (state := checkpoint.load()) is not None:
        ours = trainer.state()
        if (state.keys(), state["weights"].keys()) != (ours.keys(), ours["weights"].keys()):
            raise InputError(
                f"{checkpoint.path} was written by another version of awd: go on with that one, "
                "or delete the file to start this run from its beginning"
            )
        trainer.restore(state)
        log.info("%s: resumes in epoch %d", checkpoint.identity, trainer.epoch)
    return trainer, mechanisms


def _record(
    run: str, trainer: Trainer, mechanisms: dict, corpus: Corpus, status: str, reason: str | None
) -> dict:
    return {
        "format": 1,
        "run": run,
        "stage": trainer.stage,
        "status": status,
        "reason": reason,
        "spec": trainer.spec.as_dict(),
        "corpus": _corpus_identity(corpus),
        "mechanisms": mechanisms,
        "result": _result(trainer),
        "parameters": sum(parameter.numel() for parameter in trainer.parameters),
        **_speed(trainer.history),
        "peak_memory_mb": round(peak_memory(trainer.device), 1),
        **provenance(trainer.device, trainer.spec.precision),
        "device": ", then ".join(trainer.devices),
        "started": trainer.started,
        "ended": now(),
        "seconds": round(trainer.elapsed, 3),
        "resumes": trainer.resumes,
    }


def _write(folder: Path, stage: str, trainer: Trainer, record: dict) -> None:
    """The record comes last: it vouches for weights and curve."""
    weights = save(trainer.best_weights, metadata=_identity(record))
    record["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    with atomic(folder / f"{stage}.safetensors") as temporary:
        temporary.write_bytes(weights)
    with atomic(folder / f"{stage}.csv") as temporary:
        _write_history(temporary, trainer.history)
    write_json(folder / f"{stage}.json", record)
    for kind in ("safetensors", "csv", "json"):
        for path in half_written(folder / f"{stage}.{kind}"):
            path.unlink()


def _identity(record: dict) -> dict[str, str]:
    """What the file of weights says about itself: docs/weights.md describes it."""
    return {
        "run": record["run"],
        "stage": record["stage"],
        "spec": json.dumps(record["spec"]),
        "corpus": record["corpus"]["name"],
        "fingerprint": record["corpus"]["fingerprint"],
    }


def _corpus_identity(corpus: Corpus) -> dict:
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(getattr(corpus, split)) for split in SPLITS},
    }


def _result(trainer: Trainer) -> dict:
    best = trainer.best
    starts = [line["epoch"] for line in trainer.history if line["event"] == "averaging starts"]
    return {
        "epochs": len(trainer.history),
        "best_epoch": best["epoch"] or None,
        "valid_perplexity": perplexity(best["loss"]) if best["epoch"] else None,
        "switch_epoch": starts[0] if starts else None,
    }


def _speed(history: list[dict]) -> dict:
    seconds = [line["seconds"] for line in history]
    speeds = [line["tokens_per_second"] for line in history]
    return {
        "tokens_per_second": round(float(np.median(speeds)), 1) if speeds else None,
        "seconds_per_epoch": round(float(np.median(seconds)), 3) if seconds else None,
    }


COLUMNS = (
    "epoch",
    "train_loss",
    "valid_loss",
    "valid_perplexity",
    "test_loss",
    "learning_rate",
    "averaging",
    "event",
    "seconds",
    "tokens_per_second",
)


def _write_history(path: Path, history: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
