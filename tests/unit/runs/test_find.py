"""Runs are found by name; what is missing is one sentence."""

import json
import re
import shlex
import shutil

import pytest
import trained_runs
from click.testing import CliRunner
from synthetic import make_plan

import awd.cli
from awd import corpora
from awd.errors import InputError
from awd.files import write_json
from awd.runs.find import corpus_of, find_run, trained_record
from awd.study import last

NAMES = (
    "ptb-lstm2x200-sgd-s1-aaaaaaaaaa",
    "ptb-gru2x200-sgd-s1-bbbbbbbbbb",
    "mine-rnn1x5-sgd-s1-c",
)


@pytest.fixture
def results(tmp_path):
    for name in NAMES:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "train.json").write_text("{}")
    return tmp_path


def test_a_run_is_found_by_its_name_and_by_its_path(results):
    folder = results / "runs" / NAMES[0]
    assert find_run(NAMES[0], results) == folder
    assert find_run(str(folder), results / "elsewhere") == folder


def test_the_nearest_names_are_suggested_nearest_first(results):
    with pytest.raises(InputError) as error:
        find_run("ptb-gru2x200-sgd-s2", results)
    assert str(error.value) == (
        f"{results / 'runs'} has no run 'ptb-gru2x200-sgd-s2'; did you mean "
        f"'{NAMES[1]}', '{NAMES[0]}' or '{NAMES[2]}'?"
    )


def test_a_row_of_a_study_is_its_only_run(results):
    """Of several it names all, and of a mistake in study or row the nearest rows."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",))
    rows = plan["suites"][0]["rows"]
    for row, runs in zip(rows, [NAMES[:1], NAMES[:2], ("not-trained",)], strict=False):
        row["runs"] = [{"seed": seed, "run": run} for seed, run in enumerate(runs, 1)]
    one, two, untrained = (f"merity2018/{row['row']}" for row in rows[:3])
    specs = [*plan["runs"].values()]
    plan["runs"] |= dict.fromkeys((*NAMES, "not-trained"), specs[0])
    write_json(results / "small/plans/merity2018.json", plan)
    assert find_run(one, results) == results / "runs" / NAMES[0]
    with pytest.raises(
        InputError, match=f"'{two}' has several runs; name one: {NAMES[0]}, {NAMES[1]}"
    ):
        find_run(two, results)
    for mistake in ("merity2017/full", "merity2018/ful", untrained):
        with pytest.raises(InputError, match=f"no trained row '{mistake}'; did you mean 'merity20"):
            find_run(mistake, results)


def test_without_runs_the_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path / 'runs'} holds no runs"):
        find_run("a-run", tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    results = tmp_path_factory.mktemp("find")
    return trained_runs.trained(results, trained_runs.encoded(results), finetune_epochs=1)


def test_the_last_stage_is_the_usual_one(run):
    assert trained_record(run)["stage"] == "finetune"
    assert trained_record(run, "train")["stage"] == "train"


def changed(run, tmp_path, **values):
    """A copy of the run's records with other values, without its weights."""
    record = json.loads((run / "train.json").read_text()) | values
    folder = tmp_path / "runs" / run.name
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(record))
    return folder


def test_training_without_a_model_is_one_sentence(run, tmp_path):
    folder = changed(run, tmp_path)
    with pytest.raises(InputError, match=r"train\.safetensors does not exist: only the records"):
        trained_record(folder)
    with pytest.raises(InputError, match="has no stage 'finetune'; it has train"):
        trained_record(folder, "finetune")


def test_the_record_of_another_run_is_refused(run, tmp_path):
    folder = tmp_path / "runs" / "another-run"
    shutil.copytree(run, folder)
    with pytest.raises(
        InputError, match=f"finetune.json is the record of '{run.name}', not of 'another-run'"
    ):
        trained_record(folder)


def test_a_diverged_training_is_one_sentence(run, tmp_path):
    folder = changed(run, tmp_path, status="diverged", reason="the loss became nan")
    with pytest.raises(InputError, match=r"diverged \(the loss became nan\): it has no model"):
        trained_record(folder)


def test_the_corpus_of_a_run_is_found_beside_it(run, tmp_path):
    record = trained_record(run)
    assert corpus_of(run, record).fingerprint == record["corpus"]["fingerprint"]
    with pytest.raises(InputError, match=r"corpora/mine-\w{8} does not exist.*`awd encode mine"):
        corpus_of(changed(run, tmp_path), record)


@pytest.mark.parametrize("known_from", ["last.json", "config.yaml"])
def test_the_commands_that_make_a_corpus_again_work_as_they_are(
    run, tmp_path, monkeypatch, known_from
):
    """Also of a folder that the shell would split, and of words that are too rare."""
    texts = tmp_path / "my texts"
    texts.mkdir()
    for split, lines in {"train": 30, "valid": 9, "test": 9}.items():
        (texts / f"{split}.txt").write_text("a b a\n" * lines + "rare\n")
    found = corpora.fingerprint("mine", {"mine": str(texts)}, minimum_count=2)
    config = {"corpus_folders": {"mine": str(texts)}, "minimum_count": 2}
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(
        json.dumps(config if known_from == "config.yaml" else {})
    )
    results = tmp_path / "my results"
    if known_from == "last.json":
        last.remember(config, results)
    folder = changed(run, results)
    record = trained_record(run) | {"corpus": {"name": "mine", "fingerprint": found}}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        corpus_of(folder, record)
    for words in re.findall("`([^`]*)`", str(error.value)):
        answer = CliRunner().invoke(awd.cli.main, shlex.split(words)[1:])
        assert answer.exit_code == 0, answer.output
    assert corpus_of(folder, record).fingerprint == found


def test_a_folder_that_nobody_knows_has_a_placeholder(run, tmp_path, monkeypatch):
    """Published texts need none."""
    monkeypatch.chdir(tmp_path)
    folder = changed(run, tmp_path)
    with pytest.raises(InputError, match=r"fetch mine \S+ --folder FOLDER --fingerprint"):
        corpus_of(folder, trained_record(run))
    published = {"corpus": {"name": "ptb", "fingerprint": corpora.fingerprint("ptb")}}
    with pytest.raises(InputError, match=r"fetch ptb \S+ --fingerprint 0b84989b` and `awd encode"):
        corpus_of(folder, published)


def test_another_text_under_the_same_name_is_refused(run):
    record = trained_record(run)
    other = record["corpus"]["fingerprint"][:8] + "0" * 56
    with pytest.raises(InputError, match=r"is not the text that .* was trained on"):
        corpus_of(run, record | {"corpus": record["corpus"] | {"fingerprint": other}})


def test_a_hopeless_training_is_one_sentence(run, tmp_path):
    folder = changed(run, tmp_path, status="hopeless", reason="it is 700")
    with pytest.raises(InputError, match="the training was stopped as hopeless: it is 700"):
        trained_record(folder)
