"""Reading run records: what is there is read exactly, what is not is absent, what is broken is
named."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import make_plan, write_runs

from awd.errors import InputError
from awd.files import read_json
from awd.report import records
from awd.report.structures import Blocks, UsedDevice
from awd.runs.curve import digest
from awd.vocabulary import Device

RUN = "ptb-lstm-s1-merity2018-full"


@pytest.fixture
def study(tmp_path):
    plan = make_plan(seeds=(1, 2))
    write_runs(plan, tmp_path / "runs")
    return plan, tmp_path / "runs"


def test_one_line_per_run_stage_method_and_split(study):
    """Every evaluation that exists gives its splits, and nothing else does."""
    plan, runs = study
    frame, _ = records.collect(plan, runs)
    assert list(frame.columns) == list(records.RECORD_TYPES)
    expected = {
        (path.parent.name, *path.name.split(".")[:2], split)
        for path in runs.glob("*/*.stream.json")
        for split in ("valid", "test")
    }
    found = list(frame[["run", "stage", "method", "split"]].itertuples(index=False, name=None))
    assert len(found) == len(set(found)) == len(expected)
    assert set(found) == expected


def test_values_come_from_the_right_record(study):
    """Perplexity is the evaluation's; epochs, speed and memory are the training stage's."""
    plan, runs = study
    frame, _ = records.collect(plan, runs)
    line = frame.set_index(["run", "stage", "split"]).loc[(RUN, "finetune", "test")]
    evaluation = json.loads((runs / RUN / "finetune.stream.json").read_text())
    stage = json.loads((runs / RUN / "finetune.json").read_text())
    assert line["perplexity"] == evaluation["splits"]["test"]["perplexity"]
    assert line["seconds_per_epoch"] == stage["seconds_per_epoch"]
    assert (line["seed"], line["epochs"], line["torch"]) == (1, 12, "2.13.0")
    assert line["tokens"] == 4000
    assert pd.isna(line["arithmetic"])


def test_an_ensemble_has_the_resumes_and_times_of_all_its_members(study):
    """Unknown if one is; of energy both stages."""
    plan, runs = study
    other = RUN.replace("-s1-", "-s2-")
    for run, resumes, joules in ((RUN, 1, 10.5), (other, 2, 20.0)):
        for stage in ("train", "finetune"):
            path = runs / run / f"{stage}.json"
            changes = {"resumes": resumes, "energy_joules": joules, "seconds": 1000.0 * resumes}
            path.write_text(json.dumps(read_json(path) | changes))
    path = runs / RUN / "finetune.stream.json"
    alone = path.read_text()

    def found() -> tuple:
        frame, _ = records.collect(plan, runs)
        line = frame[(frame["run"] == RUN) & (frame["stage"] == "finetune")].iloc[0]
        return tuple(line[["trainings", "resumes", "seconds", "energy_joules"]])

    assert found() == (1, 1, 1000.0, 21.0)
    path.write_text(json.dumps(json.loads(alone) | {"members": [other]}))
    assert found() == (2, 3, 3000.0, 61.0)
    (runs / other / "finetune.json").unlink()
    assert all(map(pd.isna, found()[1:]))


def test_losses_by_block_are_part_of_the_line_of_the_test_text(study, tmp_path):
    """A record without them is read all the same, also from a csv."""
    plan, runs = study
    path = runs / RUN / "finetune.stream.json"
    evaluation = json.loads(path.read_text())
    frame, curves = records.collect(plan, runs)
    line = frame.set_index(["run", "stage", "split"]).loc[(RUN, "finetune", "test")]
    blocks = evaluation["splits"]["test"].pop("blocks")
    assert line["blocks"] == Blocks(tuple(blocks["tokens"]), tuple(blocks["nll"]))
    path.write_text(json.dumps(evaluation))
    assert records.collect(plan, runs)[0]["blocks"].isna().sum() == 1 + frame["blocks"].isna().sum()
    records.write(frame.assign(blocks=None), curves, tmp_path)
    assert records.read(tmp_path)[0]["blocks"].isna().all()


@pytest.mark.parametrize("broken", [[1.0], {"tokens": [4000]}, {"tokens": [4000], "nll": [1.0]}])
def test_losses_by_block_that_do_not_add_up_are_refused(study, broken):
    """They are of another evaluation, or damaged; an interval made of them would be wrong."""
    plan, runs = study
    path = runs / RUN / "finetune.stream.json"
    evaluation = json.loads(path.read_text())
    evaluation["splits"]["test"]["blocks"] = broken
    path.write_text(json.dumps(evaluation))
    with pytest.raises(InputError, match="losses by block"):
        records.collect(plan, runs)


def test_diverged_evaluation_has_lines_without_perplexity(study):
    """A run that diverged is a result with a reason, not a gap."""
    frame, _ = records.collect(*study)
    lines = frame[frame["status"] == "diverged"]
    assert len(lines) == 2 * 2
    assert lines["perplexity"].isna().all()
    assert lines["reason"].str.startswith("loss became nan").all()


def test_stage_without_evaluation_gives_no_line_but_its_curve(study):
    """What is trained but not yet evaluated shows in the curves only."""
    plan, runs = study
    (runs / RUN / "finetune.stream.json").unlink()
    frame, curves = records.collect(plan, runs)
    assert frame[(frame["run"] == RUN) & (frame["stage"] == "finetune")].empty
    assert len(curves[(curves["run"] == RUN) & (curves["stage"] == "finetune")]) == 12


def test_nothing_there_gives_empty_frames_of_the_right_shape(tmp_path):
    """A plan of which nothing has run is no error, and its frames survive the disk."""
    frames = records.collect(make_plan(), tmp_path / "runs")
    assert all(frame.empty for frame in frames)
    records.write(*frames, tmp_path)
    for written, read in zip(frames, records.read(tmp_path), strict=True):
        assert list(written.columns) == list(read.columns)


def test_written_frames_are_read_back_to_the_last_bit(study, tmp_path):
    """The csv files can stand in for the run folders."""
    frames = records.collect(*study)
    # Numbers that lose a bit in a sloppy writer or reader, and text that looks like a number.
    frames[0].loc[0, "perplexity"] = np.nextafter(0.1 + 0.2, 1)
    frames[0].loc[0, "commit"] = "1e10"
    records.write(*frames, tmp_path / "copy")
    for written, read in zip(frames, records.read(tmp_path / "copy"), strict=True):
        pd.testing.assert_frame_equal(written, read, check_exact=True)


def test_curves_hold_each_file_line_by_line(study):
    """Joining thousands of files at once mixes nothing up."""
    plan, runs = study
    _, curves = records.collect(plan, runs)
    for path in runs.glob("*/*.csv"):
        alone = pd.read_csv(path)
        joined = curves[(curves["run"] == path.parent.name) & (curves["stage"] == path.stem)]
        assert list(joined["epoch"]) == list(alone["epoch"])
        np.testing.assert_allclose(joined["valid_perplexity"], alone["valid_perplexity"])
        assert set(joined["event"]) <= {"", "averaging starts"}


def test_files_with_other_columns_are_joined(study):
    """An additional column of some trainings is kept; others have it empty."""
    plan, runs = study
    path = runs / RUN / "train.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},norm", *(f"{line},2.5" for line in lines)]) + "\n")
    _, curves = records.collect(plan, runs)
    here = (curves["run"] == RUN) & (curves["stage"] == "train")
    assert (curves.loc[here, "norm"] == 2.5).all()
    assert curves.loc[~here, "norm"].isna().all()


def test_a_line_being_written_is_left_out(study):
    """A report during training must not trip over half a line."""
    plan, runs = study
    with (runs / RUN / "train.csv").open("a") as file:
        file.write("13,4.1,4.")
    _, curves = records.collect(plan, runs)
    assert len(curves[(curves["run"] == RUN) & (curves["stage"] == "train")]) == 12


@pytest.mark.parametrize("kept", [0, 1, 11])
@pytest.mark.parametrize("evaluated", [True, False])
def test_a_shortened_curve_is_refused(study, kept, evaluated):
    """A copy that broke off would give a shorter curve without a word."""
    plan, runs = study
    path = runs / RUN / "train.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[: kept + 1]))
    if not evaluated:
        (runs / RUN / "finetune.stream.json").unlink()
    sentence = (
        rf"{RUN}/train\.csv has {kept} epochs, but the record of that training counts 12: put"
    )
    with pytest.raises(InputError, match=sentence):
        records.collect(plan, runs)
    path.unlink()
    _, curves = records.collect(plan, runs)
    assert not ((curves["run"] == RUN) & (curves["stage"] == "train")).any()


def test_a_shortened_curve_of_a_copy_is_refused(study, tmp_path):
    plan, runs = study
    frame, curves = records.collect(plan, runs)
    records.write(frame, curves.drop(index=curves[curves["run"] == RUN].index[-1]), tmp_path)
    sentence = rf"curves\.csv has 11 epochs of the finetune stage of {RUN}, but the record of that"
    with pytest.raises(InputError, match=sentence):
        records.read(tmp_path)
    records.write(frame, curves[curves["run"] != RUN], tmp_path)
    assert RUN not in set(records.read(tmp_path)[1]["run"])


def edit(path, epoch, **cells):
    """Change cells of one epoch in the csv file of a curve."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column, value in cells.items():
        frame.loc[epoch - 1, column] = value
    frame.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (
            {"valid_perplexity": "11.0"},
            r"has validation perplexity 11 in epoch 3, but the loss beside it gives \d",
        ),
        (
            {"valid_loss": "1.5"},
            r"has validation perplexity \S+ in epoch 3, but the loss beside it gives 4\.48169",
        ),
        (
            {"valid_loss": "2.3978952728", "valid_perplexity": "11.0"},
            r"has the best validation perplexity 11, but that of the record of that training is",
        ),
    ],
)
def test_an_edited_curve_is_refused(study, cells, sentence):
    """One number of it is enough to show another course of the training."""
    plan, runs = study
    path = runs / RUN / "train.csv"
    edit(path, 3, **cells)
    with pytest.raises(InputError, match=rf"^{path} {sentence}.*: put the whole file back"):
        records.collect(plan, runs)


def test_an_edited_curve_of_a_copy_is_refused(study, tmp_path):
    plan, runs = study
    frame, curves = records.collect(plan, runs)
    place = curves[curves["run"] == RUN].index[2]
    records.write(frame, curves, tmp_path)
    edit(tmp_path / "curves.csv", place + 1, valid_perplexity="11.0")
    sentence = rf"curves\.csv has validation perplexity 11 in epoch 3 of the train stage of {RUN}"
    with pytest.raises(InputError, match=sentence):
        records.read(tmp_path)


def test_fine_tuning_that_helps_nothing_keeps_a_better_perplexity(study):
    """The weights of before are not in its curve; a curve that is better than they is refused."""
    plan, runs = study
    path = runs / RUN / "finetune.json"
    result = read_json(path)["result"] | {"best_epoch": 0}
    change(path, result=result | {"valid_perplexity": result["valid_perplexity"] - 1})
    records.collect(plan, runs)
    change(path, result=result | {"valid_perplexity": result["valid_perplexity"] + 1})
    with pytest.raises(InputError, match=r"finetune\.csv has the best validation perplexity"):
        records.collect(plan, runs)


@pytest.mark.parametrize("column", ["train_loss", "learning_rate"])
def test_a_curve_has_the_numbers_that_its_record_has_the_digest_of(study, column):
    """Also where no other number depends on the one that was edited; times may differ."""
    plan, runs = study
    path = runs / RUN / "train.csv"
    change(runs / RUN / "train.json", curve_numbers_sha256=digest(path))
    edit(path, 3, seconds="3.0")
    records.collect(plan, runs)
    edit(path, 3, **{column: "3.0"})
    with pytest.raises(InputError, match=rf"^{path} was changed after its training: put the whole"):
        records.collect(plan, runs)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("finetune.stream.json", '{"format": 2, "sta'),
        ("finetune.stream.json", '{"format": 1}'),
        ("finetune.stream.json", '{"format": 2, "status": "done"}'),
        ("finetune.stream.json", '{"format": 2, "status": "done", "splits": {"test": 3}}'),
        ("finetune.json", "[]"),
        ("train.csv", "epoch,valid_perplexity\n1,12.5\n2,abc\n"),
        ("train.csv", "step,loss\n1,12.5\n"),
    ],
)
def test_broken_file_is_named(study, name, content):
    """Among thousands of files, the error says which one is broken."""
    plan, runs = study
    (runs / RUN / name).write_text(content)
    with pytest.raises(InputError, match=f"{RUN}/{name}"):
        records.collect(plan, runs)


def test_text_where_a_number_is_expected_is_refused(study):
    """A wrong type is caught in its file, before it turns a whole column into text."""
    plan, runs = study
    path = runs / RUN / "finetune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parameters": "24M"}))
    with pytest.raises(InputError, match=r"'parameters' is '24M' where a whole number is expected"):
        records.collect(plan, runs)


@pytest.mark.parametrize("damage", [[], {"0": 1}, {"rare": [1.0, 2]}, {}, {"0": [1.0, 500]}])
def test_losses_by_frequency_that_do_not_add_up_are_refused(tmp_path, damage):
    """Their sums are those of the split, or the figure would compare something else."""
    plan = make_plan(corpora=("ptb",))
    write_runs(plan, tmp_path, tokens=500)
    path = next(tmp_path.glob("*/finetune.stream.json"))
    record = json.loads(path.read_text())
    record["splits"]["test"]["by_frequency"] = damage
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="losses by frequency cannot be read"):
        records.collect(plan, tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("finetune.stream.json", {"protocol": {"mode": "stream"}}, "protocol cannot be read"),
        ("finetune.stream.json", {"protocol": "as usual"}, "a mapping is expected"),
        (
            "finetune.stream.json",
            {"status": "fine"},
            "not one of 'done', 'diverged', 'hopeless', 'leaks'",
        ),
        ("finetune.stream.json", {"members": 2}, "'members' is 2"),
        ("finetune.stream.json", {"members": [[1]]}, "'members' is"),
        ("finetune.json", {"devices": "AMD EPYC, 1 thread"}, "devices cannot be read"),
        ("finetune.json", {"devices": [{"kind": "tpu", "name": "x", "threads": 1}]}, "'tpu'"),
    ],
)
def test_a_damaged_part_of_a_record_is_named(study, name, change, message):
    plan, runs = study
    path = runs / RUN / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message) as raised:
        records.collect(plan, runs)
    assert name in str(raised.value)


def test_a_line_has_the_devices_of_both_stages(study):
    """A run that went on elsewhere has several, in order of use; one without a record has none."""
    plan, runs = study
    wanted = f"run == '{RUN}' and stage == 'finetune'"
    path = runs / RUN / "train.json"
    gpu = {"kind": "cuda", "name": "NVIDIA H200", "threads": None}
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"devices": [*record["devices"], gpu]}))
    (line, *_) = records.collect(plan, runs)[0].query(wanted).to_dict("records")
    cpu = UsedDevice(Device.CPU, "AMD EPYC", 1)
    moved = (cpu, UsedDevice(Device.CUDA, "NVIDIA H200", None))
    assert line["devices"] == {"train": moved, "finetune": (cpu,)}
    path.unlink()
    (line, *_) = records.collect(plan, runs)[0].query(wanted).to_dict("records")
    assert line["devices"] == {"finetune": (cpu,)}


@pytest.mark.parametrize("column", ["blocks", "protocol", "devices", "by_frequency"])
def test_a_damaged_cell_of_a_copy_is_refused(study, tmp_path, column):
    frames = records.collect(*study)
    records.write(*frames, tmp_path / "copy")
    path = tmp_path / "copy/records.csv"
    cells = pd.read_csv(path)
    cells[column] = '{"broken'
    cells.to_csv(path, index=False)
    with pytest.raises(InputError, match=r"records\.csv: its .* cannot be read"):
        records.read(tmp_path / "copy")


OTHER = "ptb-lstm-s2-merity2018-full"


def change(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["finetune.stream.json", "finetune.json", "train.json"])
def test_a_record_copied_from_another_run_is_refused(study, name):
    """Its numbers would be shown under another run's name."""
    plan, runs = study
    (runs / RUN / name).write_bytes((runs / OTHER / name).read_bytes())
    with pytest.raises(InputError, match=f"{name} does not belong there: its run is '{OTHER}"):
        records.collect(plan, runs)


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("finetune.stream.json", {"stage": "train"}, "its stage is 'train', not 'finetune'"),
        ("finetune.stream.json", {"method": "cache"}, "its method is 'cache', not 'stream'"),
        ("train.json", {"stage": "finetune"}, "its stage is 'finetune', not 'train'"),
        ("train.json", {"spec": {"layers": 2}}, "its spec layers is 2, not 3"),
        ("finetune.stream.json", {"corpus": {"name": "x"}}, "its corpus name is 'x', not 'ptb'"),
        (
            "finetune.stream.json",
            {"corpus": {"fingerprint": "00"}},
            "its corpus fingerprint is '00', not '0123456789abcdef'",
        ),
    ],
)
def test_a_record_of_something_else_is_refused(study, name, changes, sentence):
    plan, runs = study
    change(runs / RUN / name, **changes)
    with pytest.raises(InputError, match=sentence):
        records.collect(plan, runs)


def test_a_record_older_than_a_hyperparameter_is_read(study):
    """It lacks the hyperparameter, which has a default."""
    plan, runs = study
    change(runs / RUN / "train.json", spec={"layers": 3})
    assert not records.collect(plan, runs)[0].empty


def test_an_evaluation_of_other_weights_is_refused(study):
    plan, runs = study
    change(runs / RUN / "finetune.stream.json", weights_sha256="0" * 64)
    records.collect(plan, runs)  # of the weights nothing is known
    change(runs / RUN / "finetune.json", weights_sha256="1" * 64)
    with pytest.raises(InputError, match=r"finetune\.stream\.json is of other weights than those"):
        records.collect(plan, runs)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("value", [2.5, 0.0, -1.0, float("nan")])
def test_a_perplexity_that_contradicts_its_losses_is_refused(study, split, value):
    """As after an edit by hand: the table would show it beside intervals made of the losses."""
    plan, runs = study
    path = runs / RUN / "finetune.stream.json"
    evaluation = json.loads(path.read_text())
    evaluation["splits"][split]["perplexity"] = value
    path.write_text(json.dumps(evaluation))
    with pytest.raises(InputError, match=f"the perplexity of '{split}' is .*, but its nll and tok"):
        records.collect(plan, runs)
