"""What can go from the folder of results, and above all what cannot."""

import json
from pathlib import Path

import pytest
from synthetic import make_plan, write_runs

from awd.errors import InputError
from awd.runs import clean
from awd.study import parts

KINDS = list(clean.KINDS)


@pytest.fixture
def results(tmp_path) -> Path:
    """Two suites at one scale, with all that trainings leave."""
    folder = tmp_path / "results"
    for name in ("one", "one-more"):
        plan = make_plan(corpora=("ptb",), name=name)
        plan["suites"][0]["rows"] = plan["suites"][0]["rows"][:3]
        write_runs(plan, folder / "runs", epochs=2, tokens=200)
        parts.add(plan, folder / "demo", lambda _: True)
        for kind in ("csv", "md"):
            write(folder / f"demo/tables/{name}.{kind}")
        write(folder / f"demo/figures/{name}-curves.png")
    write(folder / "demo/tables/all.md")
    for record in folder.glob("runs/*/*.json"):
        if record.name in ("train.json", "finetune.json"):
            write(record.with_suffix(".safetensors"))
    write(folder / "corpora/ptb-01234567/raw/train.txt")
    write(folder / "corpora/ptb-01234567/corpus.json")
    write(folder / "corpora/ptb-01234567/train.npy")
    write(folder / "corpora/other-01234567/raw/train.txt")
    return folder


def write(path: Path, content: str = "x" * 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def names(results: Path, kind: str) -> set[str]:
    (room,) = clean.find(results, [kind])
    return {str(path.relative_to(results)) for path in room.files}


def files(results: Path) -> set[str]:
    return {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}


def test_records_curves_tables_and_plans_stay_whatever_is_cleaned(results):
    kept = {
        name for name in files(results) if name.endswith((".json", ".csv", ".md", ".png", ".npy"))
    }
    for room in clean.find(results, KINDS):
        clean.delete(room)
    left = files(results)
    assert kept <= left
    assert not any(name.endswith((".safetensors", ".npz")) for name in left)


def test_checkpoints_go_when_the_weights_of_their_stage_have_been_read(results):
    """Until then the engine may still delete what the training left, and it goes on from there."""
    run = "ptb-lstm-s1-one-full"
    for name in ("train.checkpoint", "train.previous", "finetune.checkpoint"):
        write(results / "checkpoints" / run / name)
    write(results / "checkpoints/unfinished/train.checkpoint")
    write(results / "checkpoints/only-trained/train.checkpoint")
    write(results / "runs/only-trained/train.json")
    assert names(results, "checkpoints") == {
        f"checkpoints/{run}/{name}"
        for name in ("train.checkpoint", "train.previous", "finetune.checkpoint")
    }
    (room,) = clean.find(results, ["checkpoints"])
    assert room.size == 300
    clean.delete(room)
    assert not (results / "checkpoints" / run).exists()
    assert (results / "checkpoints/unfinished/train.checkpoint").exists()


def test_weights_stay_while_a_row_is_to_be_evaluated_with_them(results):
    run = "ptb-lstm-s1-one-full"
    assert f"runs/{run}/finetune.safetensors" in names(results, "weights")
    plan = make_plan(corpora=("ptb",), name="one")
    row = plan["suites"][0]["rows"][0]
    plan["suites"][0]["rows"] = [row, row | {"row": "cache", "method": "cache"}]
    parts.add(plan, results / "small", lambda _: True)
    found = names(results, "weights")
    assert not any(run in name for name in found)
    assert any("one-more-full" in name for name in found)


def test_weights_of_trials_go_once_they_have_a_record(results):
    """They are in no plan, and have seeds that no study has; all else without a plan stays."""
    for run, seed, names_ in (
        ("trial", 1001, ("train.safetensors", "train.json")),
        ("unfinished-trial", 1002, ("train.safetensors",)),
        ("of-no-plan", 3, ("train.safetensors", "train.json")),
    ):
        for name in names_:
            write(results / "runs" / run / name, json.dumps({"spec": {"seed": seed}}))
    assert names(results, "trials") == {"runs/trial/train.safetensors"}
    assert not any("trial" in name for name in names(results, "weights"))
    plan = make_plan(corpora=("ptb",), name="one")
    record = results / "runs/ptb-lstm-s1-one-full/train.json"
    write(record, json.dumps(json.loads(record.read_text()) | {"spec": {"seed": 1001}}))
    assert "ptb-lstm-s1-one-full" in plan["runs"]
    assert names(results, "trials") == {"runs/trial/train.safetensors"}


def test_weights_of_an_ensembles_members_stay_while_it_is_to_be_evaluated(results):
    member = "ptb-lstm-s1-one-full"
    plan = make_plan(corpora=("ptb",), name="one", seeds=(1, 2))
    row = plan["suites"][0]["rows"][0]
    carrier = row["runs"][1]
    plan["suites"][0]["rows"] = [row | {"method": "ensemble", "runs": [carrier]}]
    parts.add(plan, results / "small", lambda _: True)
    assert not any(member in name for name in names(results, "weights"))


def test_texts_go_only_if_their_corpus_is_encoded(results):
    assert names(results, "texts") == {"corpora/ptb-01234567/raw/train.txt"}


def test_logs_go_of_runs_that_no_plan_has(results):
    run = "ptb-lstm-s1-one-full"
    for name in (f"train-{run}", f"evaluate-{run}.finetune.stream", "plan-demo", "fetch-ptb-0"):
        write(results / f"logs/{name}.log")
    for name in ("train-old-run", "evaluate-old-run.train.stream"):
        write(results / f"logs/{name}.log")
    assert names(results, "logs") == {
        "logs/train-old-run.log",
        "logs/evaluate-old-run.train.stream.log",
    }


def test_a_link_is_left_alone(results, tmp_path):
    """Who puts weights elsewhere wants to keep them."""
    write(tmp_path / "elsewhere")
    path = results / "runs/ptb-lstm-s1-one-full/finetune.safetensors"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert str(path.relative_to(results)) not in names(results, "weights")


def test_a_suite_goes_with_its_tables_and_figures_but_not_its_records(results):
    before = files(results)
    clean.delete(clean.find_suites(results, ["one"]))
    assert before - files(results) == {
        "demo/plans/one.json",
        "demo/tables/one.csv",
        "demo/tables/one.md",
        "demo/figures/one-curves.png",
    }
    assert [suite["suite"] for suite in parts.read(results / "demo")["suites"]] == ["one-more"]


def test_mistakes_are_sentences(results):
    with pytest.raises(InputError, match="no 'wieghts'; did you mean 'weights'"):
        clean.find(results, ["wieghts"])
    with pytest.raises(InputError, match="no plan at any scale has suite 'onne'; did you mean"):
        clean.find_suites(results, ["onne"])
    with pytest.raises(InputError, match="no plan at scale 'papr'; allowed: demo"):
        clean.find_suites(results, ["one"], "papr")


def test_no_suite_can_be_removed_where_there_is_no_plan(tmp_path):
    with pytest.raises(InputError, match="holds no plan"):
        clean.find_suites(tmp_path, ["one"])


def test_no_results_at_all_means_nothing_to_clean(tmp_path):
    assert [room.files for room in clean.find(tmp_path / "results", KINDS)] == [[]] * len(KINDS)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_300_000, "12 MB"), (9.9e13, "99 TB")],
)
def test_sizes_are_short(number, text):
    assert clean.size(number) == text
