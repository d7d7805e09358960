"""The model of a run is that which its training left."""

import pytest
import torch
import trained_runs

from awd.errors import InputError
from awd.evaluation.perplexity import mean_loss, stream_losses
from awd.evaluation.trained_model import open_run
from awd.files import read_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    results = tmp_path_factory.mktemp("model")
    return trained_runs.trained(
        results, trained_runs.encoded(results), weight_drop=0.5, finetune_epochs=1
    )


@pytest.mark.parametrize("stage", [None, "train", "finetune"])
def test_an_opened_model_has_the_recorded_loss(run, stage):
    model, corpus, record = open_run(run, stage, trained_runs.CPU)
    assert record["stage"] == stage or (stage, record["stage"]) == (None, "finetune")
    assert not model.training
    test = torch.from_numpy(corpus.test.astype("int64"))
    measured = read_json(run / f"{record['stage']}.stream.json")["splits"]["test"]
    assert mean_loss(stream_losses(model, test)) == measured["nll"] / measured["tokens"]


def test_damaged_weights_are_refused(run):
    path = run / "finetune.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(InputError, match="is damaged or of another training"):
            open_run(run, None, trained_runs.CPU)
    finally:
        path.write_bytes(content)
