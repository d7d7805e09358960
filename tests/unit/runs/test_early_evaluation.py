"""An early evaluation is taken only if it is of the run's weights."""

import json

import pytest
from test_folder import RECORD

from awd.errors import InputError
from awd.runs.early_evaluation import adopt, early_folder

TRAINED = RECORD | {"run": "a-run", "weights_sha256": "0a", "spec": {"seed": 1}}


@pytest.fixture
def places(tmp_path):
    """Checkpoints with an early evaluation, and the folder of the run."""
    checkpoints, folder = tmp_path / "checkpoints", tmp_path / "a-run"
    early = early_folder(checkpoints, "a-run")
    early.mkdir(parents=True)
    folder.mkdir()
    (folder / "train.json").write_text(json.dumps(TRAINED))
    (early / "train.stream.json").write_text(json.dumps(TRAINED))
    (early / "train.stream.npz").write_bytes(b"losses")
    return checkpoints, folder


def take(places):
    return adopt(*places, "train", "stream")


def test_it_is_moved_into_the_folder_of_the_run(places):
    checkpoints, folder = places
    assert take(places) == TRAINED
    assert (folder / "train.stream.npz").read_bytes() == b"losses"
    assert json.loads((folder / "train.stream.json").read_text()) == TRAINED
    assert list(checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"run": "b-run"}, {"weights_sha256": "0b"}, {"spec": {"seed": 2}}, {"format": 1}],
)
def test_one_of_other_weights_is_dropped(places, change):
    checkpoints, folder = places
    path = early_folder(checkpoints, "a-run") / "train.stream.json"
    path.write_text(json.dumps(TRAINED | change))
    assert take(places) is None
    assert [path.name for path in folder.iterdir()] == ["train.json"]
    assert not path.exists()


def test_half_of_one_is_dropped(places):
    (early_folder(places[0], "a-run") / "train.stream.npz").unlink()
    assert take(places) is None


def test_a_damaged_one_is_dropped(places):
    (early_folder(places[0], "a-run") / "train.stream.json").write_text("{")
    assert take(places) is None


def test_another_method_has_none(places):
    assert adopt(*places, "train", "cache-20-1-0.1") is None
    assert take(places) == TRAINED


def test_what_a_kill_left_is_taken_again(places):
    """Killed after the losses, before the record."""
    (places[1] / "train.stream.npz").write_bytes(b"lo")
    assert take(places) == TRAINED
    assert (places[1] / "train.stream.npz").read_bytes() == b"losses"


def test_without_a_training_it_is_refused(places):
    (places[1] / "train.json").unlink()
    with pytest.raises(InputError, match=r"train.json does not exist"):
        take(places)
