"""Records and weights as they lie in the folder of a run."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load

from awd.errors import InputError
from awd.files import read_json


def read_record(folder: Path, stage: str) -> dict:
    """The record that ``stage`` left in ``folder``; raises InputError if it is none."""
    record = read_json(folder / f"{stage}.json")
    for key in ("run", "status", "reason", "spec", "corpus"):
        if key not in record:
            raise InputError(f"{folder}/{stage}.json is no record of a training: it lacks '{key}'")
    return record


def read_weights(
    folder: Path, stage: str, device: torch.device, purpose: str
) -> dict[str, torch.Tensor]:
    """The weights that ``stage`` left in ``folder``, by parameter.

    Raises InputError if there are none, or not those that the stage's record vouches for.
    """
    path = folder / f"{stage}.safetensors"
    if not path.exists():
        raise InputError(f"{path} does not exist: train before {purpose}")
    content = path.read_bytes()
    # Records of the first versions name no digest.
    digest = read_record(folder, stage).get("weights_sha256")
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise InputError(f"{path} is damaged or of another training: delete it to train again")
    return {name: weight.to(device) for name, weight in load(content).items()}
