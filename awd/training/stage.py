"""Run one stage, from its inputs or its checkpoint to its record, curve and weights."""

import hashlib
import json
import logging
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from awd.corpora import Corpus
from awd.errors import InputError
from awd.evaluation.evaluate import evaluate_stage
from awd.evaluation.perplexity import perplexity
from awd.files import alone, atomic, half_written, read_json, write_json
from awd.machine.out_of_memory import peak_memory
from awd.runs import curve
from awd.runs.checkpoint import Checkpoint
from awd.runs.early_evaluation import early_folder
from awd.runs.folder import RECORD_FORMAT, read_record
from awd.runs.progress import Progress, curve_file, progress_file
from awd.runs.provenance import now, provenance
from awd.runs.read_weights import read_weights
from awd.study.methods import make_method
from awd.study.spec import RunSpec
from awd.training.expected import contradiction
from awd.training.probes import observe
from awd.training.trainer import Diverged, Trainer, stop_signals
from awd.vocabulary import Event, Split, Stage, Status

log = logging.getLogger(__name__)


def train_stage(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    folder: Path,
    *,
    device: torch.device,
    checkpoints: Path,
    checkpoint_seconds: float = math.inf,
    keep_checkpoints: bool = False,
    evaluate: bool = False,
    live: bool = False,
) -> dict:
    """Train one stage of a run and leave its record, curve and weights in ``folder``.

    Resumes from a checkpoint under ``checkpoints`` if there is one. A training that diverges is a
    result: its record has that status, and its weights are the best so far. So is a hopeless one,
    which is not fine-tuned: that stage leaves its weights as they are, with the same status. If
    another process finishes the stage in the meantime (one that outlived its workflow), its result
    is returned.

    Args:
        checkpoint_seconds: of work that a crash costs at most; by default an epoch or more.
        keep_checkpoints: keep those of the previous stage, which is now no longer needed.
        evaluate: also measure the weights by the plain stream, see ``runs.early_evaluation``.

    Returns the record. Raises InputError if fine-tuning lacks trained weights, if another version
    of the code wrote the checkpoint, or if the model contradicts its spec; and Interrupted.
    """
    run = spec.run(corpus.fingerprint)
    if folder.name != run:
        raise InputError(f"{folder} must be named {run}, the run of this spec and this corpus")
    checkpoint = Checkpoint(checkpoints, run, stage)
    with alone(folder) as waited:
        if waited and (folder / f"{stage}.json").exists():
            return read_json(folder / f"{stage}.json")
        trainer, mechanisms = _trainer(spec, corpus, stage, folder, device, checkpoint)
        status, reason = Status.DONE, None
        tokens, file = trainer.tokens, progress_file(checkpoints, run, stage)
        title = f"{run} {stage}"
        unfinished = curve_file(checkpoints, run, stage)
        with Progress(
            title,
            trainer.epochs,
            epoch=min(trainer.epoch, trainer.epochs),
            valid_perplexity=trainer.history[-1]["valid_perplexity"] if trainer.history else None,
            live=live,
            tokens=tokens,
            file=file,
            after_epoch=lambda: curve.write_curve(unfinished, trainer.history),
        ) as progress:
            try:
                if (hopeless := _hopeless_before(folder, stage)) is None:
                    trainer.run(checkpoint, checkpoint_seconds, progress)
                    hopeless = _hopeless(trainer)
                if hopeless is not None:
                    status, reason = Status.HOPELESS, hopeless
            except Diverged as error:
                status, reason = Status.DIVERGED, str(error)
        if status != Status.DONE:
            log.info("%s: %s: %s", run, status, reason)
        record = _record(run, trainer, mechanisms, corpus, status, reason)
        _write(folder, stage, trainer, record)
        progress.remove()
        for path in (unfinished, *half_written(unfinished)):
            path.unlink(missing_ok=True)
        if evaluate:
            del trainer  # its memory is free for the evaluation
            _evaluate_early(spec, corpus, stage, folder, device, checkpoints)
    if stage == Stage.FINETUNE and not keep_checkpoints:
        Checkpoint(checkpoints, run, Stage.TRAIN).remove()
    return record


def _evaluate_early(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    folder: Path,
    device: torch.device,
    checkpoints: Path,
) -> None:
    """Evaluate what the stage has left; failing at that, or a signal, ends no training."""
    stream = make_method("stream", {}, stage)
    destination = early_folder(checkpoints, folder.name)
    try:
        with stop_signals(_abandon):
            evaluate_stage(
                spec, corpus, stage, stream, folder, device=device, destination=destination
            )
    except _Abandoned as error:
        log.warning("%s %s: trained; %s before its evaluation ended", folder.name, stage, error)
    except Exception as error:  # the job of the evaluation will meet it again and report it
        log.warning("%s %s: trained; not yet evaluated: %s", folder.name, stage, error)


class _Abandoned(Exception):
    """A signal asked the process to stop while it evaluated."""


def _abandon(name: str) -> None:
    raise _Abandoned(f"stopped by {name}")


def _trainer(
    spec: RunSpec,
    corpus: Corpus,
    stage: str,
    folder: Path,
    device: torch.device,
    checkpoint: Checkpoint,
) -> tuple[Trainer, dict]:
    """Return a trainer at the stage's checkpoint or beginning, and what probes found in it."""
    weights = None
    if stage == Stage.FINETUNE:
        weights = read_weights(folder, Stage.TRAIN, device, "fine-tuning")
    trainer = Trainer(spec, corpus, stage, device, weights)
    mechanisms = observe(trainer)
    if (sentence := contradiction(spec, stage, mechanisms)) is not None:
        raise InputError(f"{checkpoint.identity}: {sentence}")
    if (state := checkpoint.load()) is not None:
        if _layout(state) != _layout(trainer.state()):
            raise InputError(
                f"{checkpoint.path} was written by another version of awd: use that version, "
                "or delete the file to start this run from its beginning"
            )
        trainer.restore(state)
        log.info("%s: resumes in epoch %d", checkpoint.identity, trainer.epoch)
    return trainer, mechanisms


def _hopeless(trainer: Trainer) -> str | None:
    """Why a training that is over is hopeless, None if it is not."""
    if not trainer.hopeless:
        return None
    best, level = (perplexity(each) for each in (trainer.best["loss"], trainer.unigram_loss))
    epochs = len(trainer.history)
    return (
        f"the best validation perplexity of {epochs} epoch{'s' * (epochs > 1)} is {best:.2f}; that "
        f"of word frequencies is {level:.2f}"
    )


def _hopeless_before(folder: Path, stage: str) -> str | None:
    """Why the training was hopeless that ``stage`` is to fine-tune, None if it was not."""
    if stage != Stage.FINETUNE:
        return None
    trained = read_record(folder, Stage.TRAIN)
    return trained["reason"] if trained["status"] == Status.HOPELESS else None


def _layout(state: dict) -> tuple:
    return state.get("format"), state.keys() - {"energy"}, state["weights"].keys()


def _record(
    run: str, trainer: Trainer, mechanisms: dict, corpus: Corpus, status: str, reason: str | None
) -> dict:
    return {
        "format": RECORD_FORMAT,
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
        "cuda_graphs": trainer.graphs,
        **provenance(trainer.device, trainer.spec.precision),
        "devices": trainer.devices,
        "started": trainer.started,
        "ended": now(),
        "seconds": round(trainer.elapsed, 3),
        "energy_joules": None if (joules := trainer.energy()) is None else round(joules, 1),
        "resumes": trainer.resumes,
    }


def _write(folder: Path, stage: str, trainer: Trainer, record: dict) -> None:
    """Write weights, curve, and last the record: where it is, the others are, too."""
    weights = save(trainer.best_weights, metadata=_identity(record))
    record["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    with atomic(folder / f"{stage}.safetensors") as temporary:
        temporary.write_bytes(weights)
    curve.write_curve(folder / f"{stage}.csv", trainer.history)
    record[curve.DIGEST] = curve.digest(folder / f"{stage}.csv")
    write_json(folder / f"{stage}.json", record)
    for kind in ("safetensors", "csv", "json"):
        for path in half_written(folder / f"{stage}.{kind}"):
            path.unlink()


def _identity(record: dict) -> dict[str, str]:
    """Return the metadata of the file of weights, which docs/weights.md describes.

    One key: safetensors writes several in random order, but equal weights must be equal files.
    """
    identity = {key: record[key] for key in ("run", "stage", "spec")}
    corpus = record["corpus"]
    identity |= {"corpus": corpus["name"], "fingerprint": corpus["fingerprint"]}
    return {"awd": json.dumps(identity)}


def _corpus_identity(corpus: Corpus) -> dict:
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(getattr(corpus, split)) for split in Split},
    }


def _result(trainer: Trainer) -> dict:
    best, found = trainer.best, math.isfinite(trainer.best["loss"])
    starts = [line["epoch"] for line in trainer.history if line["event"] == Event.AVERAGING_STARTS]
    return {
        "epochs": len(trainer.history),
        # 0: fine-tuning kept the weights that it started from
        "best_epoch": best["epoch"] if found else None,
        "valid_perplexity": perplexity(best["loss"]) if found else None,
        "switch_epoch": starts[0] if starts else None,
    }


def _speed(history: list[dict]) -> dict:
    seconds = [line["seconds"] for line in history]
    speeds = [line["tokens_per_second"] for line in history]
    return {
        "tokens_per_second": round(float(np.median(speeds)), 1) if speeds else None,
        "seconds_per_epoch": round(float(np.median(seconds)), 3) if seconds else None,
    }
