"""Weights are those that the record vouches for."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save
from test_folder import RECORD

from awd.errors import InputError
from awd.runs.read_weights import read_weights

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    """A run's folder with weights and their record."""
    content = save({"bias": torch.arange(3.0)})
    (tmp_path / "train.safetensors").write_bytes(content)
    record = RECORD | {"weights_sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "train.json").write_text(json.dumps(record))
    return tmp_path


def test_weights_are_read_by_name(folder):
    weights = read_weights(folder, "train", CPU, "evaluating")
    assert torch.equal(weights["bias"], torch.arange(3.0))


def test_weights_of_a_record_without_a_digest_are_read(folder):
    (folder / "train.json").write_text(json.dumps(RECORD))
    assert read_weights(folder, "train", CPU, "evaluating").keys() == {"bias"}


def test_one_flipped_bit_is_found(folder):
    path = folder / "train.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.safetensors is damaged or of another training"):
        read_weights(folder, "train", CPU, "evaluating")


def test_missing_weights_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist: train before fine-tuning"):
        read_weights(tmp_path, "train", CPU, "fine-tuning")
