"""Read the weights of a stage from the folder of a run."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load

from awd.errors import InputError
from awd.files import read_bytes
from awd.runs.folder import read_record


def read_weights(
    folder: Path, stage: str, device: torch.device, purpose: str
) -> dict[str, torch.Tensor]:
    """Read the weights that ``stage`` left in ``folder``, by parameter name.

    Raises InputError if there are none, or if their digest is not the one in the stage's record.
    """
    path = folder / f"{stage}.safetensors"
    if not path.exists():
        raise InputError(f"{path} does not exist: train before {purpose}")
    content = read_bytes(path)
    digest = read_record(folder, stage)["weights_sha256"]
    if digest not in (None, hashlib.sha256(content).hexdigest()):  # None: a migrated record
        raise InputError(f"{path} is damaged or of another training: delete it to train again")
    return {name: weight.to(device) for name, weight in load(content).items()}
