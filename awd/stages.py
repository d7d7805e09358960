"""One stage of a run, from its inputs or its checkpoint to its record, curve and weights."""

import csv
import logging
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save

from awd.checkpoint import Checkpoint
from awd.corpora import SPLITS, Corpus
from awd.errors import InputError
from awd.files import atomic, write_json
from awd.mechanisms import contradiction, observe
from awd.perplexity import perplexity
from awd.progress import Progress
from awd.provenance import now, peak_memory, provenance
from awd.spec import RunSpec
from awd.train import Diverged, Trainer

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
    live: bool = False,
) -> dict:
    """Train one stage of a run and leave its record, curve and weights in ``folder``.

    Resumes from a checkpoint under ``checkpoints`` if there is one, and removes it at the end. A
    training that diverges is a result: its record says so, and its weights are its best ones.

    Returns the record. Raises InputError if fine-tuning lacks trained weights or if the model does
    something else than its spec says, and Interrupted.
    """
    run = spec.run(corpus.fingerprint)
    if folder.name != run:
        raise InputError(f"this spec and corpus make the run {run}, which {folder} is not named")
    weights = None
    if stage == "finetune":
        if not (folder / "train.safetensors").exists():
            raise InputError(f"{folder}/train.safetensors does not exist: train before fine-tuning")
        weights = load_file(folder / "train.safetensors", device=str(device))
    started = now()
    trainer = Trainer(spec, corpus, stage, device, weights)
    mechanisms = observe(trainer)
    if (said := contradiction(spec, stage, mechanisms)) is not None:
        raise InputError(f"{run}: {said}")
    checkpoint = Checkpoint(checkpoints, run, stage)
    if (state := checkpoint.load()) is not None:
        trainer.restore(state)
        log.info("%s: resumes in epoch %d", run, trainer.epoch)
    status, reason = "done", None
    with Progress(f"{run} {stage}", trainer.epochs, live=live) as progress:
        try:
            trainer.run(checkpoint, checkpoint_seconds, progress)
        except Diverged as error:
            status, reason = "diverged", str(error)
            log.warning("%s: diverged: %s", run, reason)

    record = {
        "format": 1,
        "run": run,
        "stage": stage,
        "status": status,
        "reason": reason,
        "spec": spec.as_dict(),
        "corpus": _corpus_identity(corpus),
        "mechanisms": mechanisms,
        "result": _result(trainer),
        "parameters": sum(parameter.numel() for parameter in trainer.parameters),
        **_speed(trainer.history),
        "peak_memory_mb": round(peak_memory(device), 1),
        **provenance(device),
        "started": started,
        "ended": now(),
        "seconds": round(trainer.elapsed, 3),
        "resumes": trainer.resumes,
    }
    with atomic(folder / f"{stage}.safetensors") as temporary:
        temporary.write_bytes(save(trainer.best_weights))
    with atomic(folder / f"{stage}.csv") as temporary:
        _write_history(temporary, trainer.history)
    write_json(folder / f"{stage}.json", record)
    checkpoint.remove()
    return record


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
        "tokens_per_second": round(float(numpy.median(speeds)), 1) if speeds else None,
        "seconds_per_epoch": round(float(numpy.median(seconds)), 3) if seconds else None,
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
