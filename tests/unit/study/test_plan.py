"""The plan: what is asked for, no more and no less, and the same each time."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from special_files import make_broken_link, make_pipe

import awd.study.suite
from awd import corpora
from awd.errors import InputError
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.spec import HYPERPARAMETERS

ROOT = Path(awd.__file__).parents[1]
SUITE = "merity2018"
TEXT = (ROOT / "workflow" / "suites" / f"{SUITE}.yaml").read_text(encoding="utf-8")
SCALES = ("demo", "small", "paper")
NINE = (
    "full",
    "minus-fine-tuning",
    "minus-nt-asgd",
    "minus-variable-lengths",
    "minus-embedding-dropout",
    "minus-weight-decay",
    "minus-ar-tar",
    "full-sized-embedding",
    "minus-weight-drop",
)


def config(**changes) -> dict:
    return load_config(CONFIG, {"suites": SUITE, "base_seeds": 1, **changes})


def runs_of(plan: Plan) -> dict[tuple, list[str]]:
    """(row, corpus) -> its runs' names."""
    return {
        (row["row"], row["corpus"]): [run["run"] for run in row["runs"]]
        for suite in plan.suites.values()
        for row in suite["rows"]
    }


@pytest.fixture
def plan_of(tmp_path, monkeypatch):
    """Plan a suite that a test has changed."""
    folder = tmp_path / "suites"
    folder.mkdir()
    monkeypatch.setattr(awd.study.suite, "SUITES", folder)

    def make(suite: dict | str, **changes) -> Plan:
        if not isinstance(suite, str):
            suite = yaml.safe_dump(suite, sort_keys=False, allow_unicode=True)
        (folder / f"{SUITE}.yaml").write_text(suite, encoding="utf-8")
        return Plan(config(**changes))

    return make


@pytest.fixture
def suite() -> dict:
    return yaml.safe_load(TEXT)


# Table 4 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_nine_rows_are_eight_trainings(scale):
    """Per corpus, in the order of the paper; evaluations of other kinds train nothing more."""
    plan = Plan(config(scale=scale))
    rows = plan.suites[SUITE]["rows"]
    corpora = list(plan.fingerprints)
    assert [(row["row"], row["corpus"]) for row in rows if row["row"] in NINE] == [
        (name, corpus) for corpus in corpora for name in NINE
    ]
    assert len(plan.runs) == 8 * len(corpora)
    assert len(corpora) == (2 if scale == "paper" else 1)


@pytest.mark.parametrize("scale", SCALES)
def test_minus_fine_tuning_is_the_full_run_before_it(scale):
    """One training, two rows, two stages; no other row of Table 4 shares a run."""
    plan = Plan(config(scale=scale))
    stages = {(row["row"], row["corpus"]): row["stage"] for row in plan.suites[SUITE]["rows"]}
    runs = runs_of(plan)
    for corpus in plan.fingerprints:
        full, without = ("full", corpus), ("minus-fine-tuning", corpus)
        assert runs[full] == runs[without]
        assert (stages[full], stages[without]) == ("finetune", "train")
        others = {tuple(runs[name, corpus]) for name in NINE if name != "minus-fine-tuning"}
        assert len(others) == 8
        shared = plan.runs[runs[full][0]]
        assert {f"{SUITE}/full", f"{SUITE}/minus-fine-tuning"} <= set(shared.rows)
        assert sorted(shared.stages) == ["finetune", "train"]


@pytest.mark.parametrize("scale", SCALES)
def test_each_row_differs_in_what_it_sets_alone(scale, suite):
    """An ablation that changes something else besides says nothing."""
    plan = Plan(config(scale=scale))
    for row in plan.suites[SUITE]["rows"]:
        asked = suite["rows"][row["row"]].get("set", {})
        asked = {key: value for key, value in asked.items() if key in HYPERPARAMETERS}
        assert set(row["changes"]) == set(asked)
        if row["row"] != "full-sized-embedding":
            assert row["changes"] == asked
    wide = next(row for row in plan.suites[SUITE]["rows"] if row["row"] == "full-sized-embedding")
    spec = plan.runs[wide["runs"][0]["run"]].spec
    assert spec.embedding_size == spec.hidden_size


def test_the_full_model_at_paper_scale_is_the_papers():
    """24 million parameters on PTB, 33 million on WikiText-2."""
    plan = Plan(config(scale="paper"))
    runs = runs_of(plan)
    sizes = [plan.parameters(plan.runs[runs["full", each][0]]) for each in ("ptb", "wikitext-2")]
    assert sizes == [24_221_600, 33_556_078]


# every suite --------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_every_suite_can_be_planned_at_every_scale(scale):
    """Whatever lies in workflow/suites; each row has a run per seed and a known place in it."""
    names = sorted(path.stem for path in awd.study.suite.SUITES.glob("*.yaml"))
    plan = Plan(config(suites=names, scale=scale, seeds=3))
    assert list(plan.suites) == names
    for each in plan.suites.values():
        for row in each["rows"]:
            assert [run["seed"] for run in row["runs"]] == [1, 2, 3]
            assert all(run["run"] in plan.runs for run in row["runs"])
    json.dumps(plan.as_dict(), allow_nan=False)


def test_plans_are_deterministic(tmp_path):
    """Also across processes, whose hashes of strings differ."""
    command = [sys.executable, "-m", "awd", "plan", "seeds=2", "--write"]
    texts = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        texts.append({path.name: path.read_bytes() for path in folder.rglob("*.json")})
    assert texts[0] == texts[1]
    assert len(texts[0]) == 4


@pytest.mark.parametrize(
    "code",
    [
        "import awd.study.plan",
        "import awd.study.workflow_plan",
        "import tempfile; from awd.cli import main; main(['plan', '--write', tempfile.mktemp()])",
    ],
)
def test_planning_loads_no_heavy_library(code):
    """Every job of a workflow makes the plan anew. Only people see what its seeds can find."""
    program = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'requests'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"


# what the configuration may ask for ---------------------------------------------------------


@pytest.mark.parametrize("asked", [SUITE, [SUITE]])
def test_suites_are_a_name_or_a_list(asked):
    """Both are natural on a command line."""
    assert list(Plan(config(suites=asked)).suites) == [SUITE]


def test_the_demo_is_the_published_studies_in_the_order_of_the_configuration():
    """The flagship first; the order of files plays no part."""
    plan = Plan(load_config(CONFIG))
    assert list(plan.suites) == ["merity2018", "yoon2019", "bonetto2024", "kim2024"]
    assert list(Plan(config(suites="kim2024,merity2018")).suites) == ["kim2024", "merity2018"]


@pytest.mark.parametrize("key", ["results", "checkpoints"])
@pytest.mark.parametrize("inside", ["", "/a/b"])
@pytest.mark.parametrize("make", [Path.touch, make_pipe, make_broken_link])
def test_results_cannot_be_in_what_is_no_folder(tmp_path, key, inside, make):
    make(tmp_path / "there")
    what = "a link to" if make is make_broken_link else "no folder"
    said = f"{key}: {tmp_path / 'there'} is {what}"
    with pytest.raises(InputError, match=said):
        Plan(config(**{key: f"{tmp_path / 'there'}{inside}"}))
    assert Plan(config(**{key: str(tmp_path / "absent" / "too")}))


def test_all_is_no_suite():
    """The combined table has this name; the sentence lists what there is."""
    with pytest.raises(InputError, match=r"'all' is reserved .*; list the suites you want: bon"):
        Plan(config(suites="all"))


@pytest.mark.parametrize(
    "name", [".#merity2018", "._merity2018", "merity2018 (copy)", "merity2018~", "Merity2018", "é"]
)
def test_side_files_among_suites_are_ignored(plan_of, suite, tmp_path, name):
    """Editors, file managers and operating systems leave them there."""
    (tmp_path / "suites" / f"{name}.yaml").write_bytes(b"\xff: {")
    assert list(plan_of(suite).suites) == [SUITE]
    with pytest.raises(InputError, match="no suite 'merity'; did you mean 'merity2018'"):
        plan_of(suite, suites="merity")


@pytest.mark.parametrize("method", ["cache", "dynamic", "ensemble"])
@pytest.mark.parametrize("objective", ["both-directions", "cloze"])
def test_methods_are_for_models_that_predict_the_next_word(plan_of, suite, method, objective):
    """A cache of a model that reads backwards is nothing that anyone has defined."""
    suite["base"] |= {"ensemble_size": 2, "dynamic_rate": 0, "dynamic_decay": 0}
    suite["base"] |= {"dynamic_epsilon": 1, "dynamic_bptt": 5}
    suite["rows"]["cache"] |= {"method": method, "set": {"objective": objective}}
    said = complaint(plan_of, suite)
    assert f"row 'cache': method '{method}' needs objective 'next-word', not '{objective}'" in said


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("default", ["networkx-docs"]),
        ("known-entropy", ["known-entropy"]),
        (["known-entropy", "ptb"], ["known-entropy", "ptb"]),
    ],
)
def test_corpora_are_a_name_or_a_list(asked, expected):
    """In the order given; default is the suite's own choice for the scale."""
    plan = Plan(config(corpora=asked))
    assert list(plan.fingerprints) == expected
    assert len(plan.runs) == 8 * len(expected)


@pytest.mark.parametrize(("asked", "expected"), [(3, [1, 2, 3]), ([7, 2], [7, 2]), ([0], [0])])
def test_seeds_are_a_count_or_a_list(asked, expected):
    """Each seed is a run of its own, the same whichever others there are."""
    plan = Plan(config(seeds=asked))
    assert plan.seeds == expected
    for row in plan.suites[SUITE]["rows"]:
        assert [run["seed"] for run in row["runs"]] == expected
        assert [plan.runs[run["run"]].spec.seed for run in row["runs"]] == expected
    alone = [Plan(config(seeds=[seed])).runs for seed in expected]
    assert set(plan.runs) == set().union(*alone)


@pytest.mark.parametrize(
    ("asked", "expected"), [(1, [1, 2]), (2, [1, 2]), (3, [1, 2, 3]), ([7], [7])]
)
def test_a_suite_may_want_more_seeds(plan_of, suite, asked, expected):
    """Than the configuration counts; if it lists them, it is these and no others."""
    suite["seeds"] = 2
    (resolved,) = plan_of(suite, seeds=asked).suites.values()
    for row in resolved["rows"]:
        assert [run["seed"] for run in row["runs"]] == expected


def test_base_rows_have_several_seeds(plan_of, suite):
    """So have rows that evaluate the same trainings; others have what is asked for."""
    (resolved,) = plan_of(suite, base_seeds=3).suites.values()
    trained = {row["row"]: [run["run"] for run in row["runs"]] for row in resolved["rows"]}
    base = trained[resolved["base"]]
    assert len(base) == 3
    for row, runs in trained.items():
        assert runs == base or len(runs) == 1, row
    assert sum(runs == base for runs in trained.values()) > 1, "one is before fine-tuning"
    suite["base_seeds"] = 2
    (resolved,) = plan_of(suite, base_seeds=3).suites.values()
    assert max(len(row["runs"]) for row in resolved["rows"]) == 2


def test_an_own_corpus(tmp_path):
    """A folder with three files is a corpus; its content, not its place, names the runs."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text(f"a b {split}\n" * 100)
    options = {"corpora": "mine", "corpus_folders": {"mine": str(tmp_path)}}
    before = Plan(config(**options))
    assert all(name.startswith("mine-") for name in before.runs)
    assert before.sizes("mine")["tokens"] == {"train": 400, "valid": 400, "test": 400}
    (tmp_path / "train.txt").write_text("a c\n")
    assert not set(Plan(config(**options)).runs) & set(before.runs)


def test_more_training_text_than_a_published_corpus_has_is_refused(plan_of, suite):
    suite["base"]["train_tokens"] = 929_589
    assert plan_of(suite, scale="paper", corpora="ptb").runs
    suite["base"]["train_tokens"] += 1
    said = complaint(plan_of, suite, scale="paper", corpora="ptb")
    assert "929590 is more than the 929589 tokens" in said


def test_a_batch_larger_than_the_text_is_refused(plan_of, suite, tmp_path):
    """In the words of the training, which would fail."""
    suite["rows"]["minus-weight-drop"]["set"]["batch_size"] = 133
    (tmp_path / "valid.txt").write_text("a b c\n")
    (tmp_path / "test.txt").write_text("a b d\n")
    (tmp_path / "train.txt").write_text("a b c\n" * 100)
    options = {"corpora": "mine", "corpus_folders": {"mine": str(tmp_path)}}
    plan = plan_of(suite, scale="paper", **options)
    assert plan.sizes("mine")["tokens"]["train"] == 400
    plan.refuse_short_texts()
    suite["rows"]["minus-weight-drop"]["set"]["batch_size"] += 1
    plan = plan_of(suite, scale="paper", **options)
    with pytest.raises(InputError) as refused:
        plan.refuse_short_texts()
    assert str(refused.value) == (
        "row 'merity2018/minus-weight-drop': batch_size 134 leaves 2 steps of the 400 training "
        "tokens of 'mine'; at least 3 are needed"
    )


def test_a_text_is_counted_once_for_all_rows(plan_of, suite, tmp_path, monkeypatch):
    """Each row asks whether it has so many tokens; nothing is encoded yet."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c\n" * 100)
    suite["base"]["train_tokens"] = 300
    counted = []

    def count(corpus, *_):
        counted.append(corpus)
        return {"vocabulary": 4, "tokens": {"train": 400, "valid": 400, "test": 400}}

    monkeypatch.setattr(corpora, "count", count)
    plan = plan_of(suite, scale="paper", corpora="mine", corpus_folders={"mine": str(tmp_path)})
    plan.refuse_short_texts()
    assert plan.as_dict()["runs"]
    assert len(plan.runs) > 1
    assert counted == ["mine"]


def test_a_text_of_ones_own_that_is_shorter_is_trained_on_whole(plan_of, suite, tmp_path):
    """Its runs are those of a study that takes all."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c\n" * 100)
    plans = {}
    for tokens in (0, 400, 401):
        suite["base"]["train_tokens"] = tokens
        own = {"corpora": "mine", "corpus_folders": {"mine": str(tmp_path)}}
        plans[tokens] = runs_of(plan_of(suite, scale="paper", **own))
    assert plans[401] == plans[0] != plans[400]


# what changes a run, and what does not ------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_one_hyperparameter_of_one_row_changes_that_run_alone(plan_of, suite, scale):
    """The promise that an edit retrains exactly what it must."""
    before = runs_of(plan_of(suite, scale=scale))
    suite["rows"]["minus-weight-drop"]["set"]["clip"] = 0.5
    after = runs_of(plan_of(suite, scale=scale))
    changed = {
        row for row, _ in before if any(before[row, c] != after[row, c] for c in corpora_of(after))
    }
    assert changed == {"minus-weight-drop"}


def corpora_of(runs: dict) -> list[str]:
    return list(dict.fromkeys(corpus for _, corpus in runs))


def test_a_hyperparameter_of_one_scale_changes_that_scale_alone(plan_of, suite):
    """Trying something at demo scale must not void a week of training."""
    before = {scale: runs_of(plan_of(suite, scale=scale)) for scale in SCALES}
    suite["scales"]["demo"]["rows"]["minus-weight-drop"] = {"clip": 0.5}
    after = {scale: runs_of(plan_of(suite, scale=scale)) for scale in SCALES}
    assert before["small"] == after["small"]
    assert before["paper"] == after["paper"]
    differing = {key for key in before["demo"] if before["demo"][key] != after["demo"][key]}
    assert {row for row, _ in differing} == {"minus-weight-drop"}


def test_a_row_is_left_out_at_one_scale_alone(plan_of, suite):
    """It trains nothing there, the table's notes name it, and no other run changes."""
    before = {scale: runs_of(plan_of(suite, scale=scale)) for scale in SCALES}
    suite["scales"]["demo"]["without"] = ["minus-weight-drop", "minus-ar-tar"]
    after = {scale: plan_of(suite, scale=scale) for scale in SCALES}
    assert before["small"] == runs_of(after["small"])
    assert before["paper"] == runs_of(after["paper"])
    left = {
        key: runs
        for key, runs in before["demo"].items()
        if key[0] not in suite["scales"]["demo"]["without"]
    }
    assert runs_of(after["demo"]) == left
    assert set(after["demo"].runs) == {run for runs in left.values() for run in runs}
    labels = '"− weight-dropping", "− AR/TAR"'
    assert f"Left out at this scale: {labels}." in after["demo"].suites[SUITE]["notes"]
    assert after["demo"].omitted == [f"{SUITE}: {labels}"]
    assert after["small"].omitted == []


def test_words_and_order_change_no_run(plan_of, suite):
    """Labels, notes, published numbers and the order of keys and rows are not training."""
    before = runs_of(plan_of(suite))
    suite["title"] = "Another title"
    suite["notes"] = []
    del suite["published"]
    for name, row in suite["rows"].items():
        row["label"], row["note"] = f"renamed {name}", "new"
    for key in ("base", "rows"):
        suite[key] = dict(reversed(suite[key].items()))
    assert runs_of(plan_of(dict(reversed(suite.items())))) == before


def test_the_place_of_a_hyperparameter_changes_no_run(plan_of, suite):
    """Moving a value from the base to the scale that uses it is no change."""
    before = runs_of(plan_of(suite))
    suite["scales"]["demo"]["set"]["clip"] = suite["base"].pop("clip")
    assert runs_of(plan_of(suite)) == before


def test_the_name_of_a_suite_changes_no_run(plan_of, tmp_path):
    """Two suites that ask for the same training share it; paper has no search of a suite's name."""
    plan_of(TEXT)
    shutil.copy(tmp_path / "suites" / f"{SUITE}.yaml", tmp_path / "suites" / "copy.yaml")
    plan = Plan(config(suites=["copy", SUITE], scale="paper", corpora="ptb"))
    assert len(plan.runs) == 8
    shared = plan.runs[runs_of(plan)["full", "ptb"][0]].rows
    assert {"copy/full", "copy/minus-fine-tuning", f"{SUITE}/full"} <= set(shared)


def test_a_copy_of_a_suite_says_that_nothing_was_chosen_for_it(plan_of, tmp_path):
    """What a search has chosen is read by the name of the suite."""
    plan_of(TEXT)
    shutil.copy(tmp_path / "suites" / f"{SUITE}.yaml", tmp_path / "suites" / "copy.yaml")
    plan = Plan(config(suites=["copy", SUITE]))
    notes = {name: " ".join(suite["notes"]) for name, suite in plan.suites.items()}
    assert "To search: awd tune copy ROW scale=demo." in notes["copy"]
    assert "No search has chosen" not in notes[SUITE]
    assert "among 16 trials" in notes[SUITE]


# mistakes -----------------------------------------------------------------------------------


def complaint(plan_of, suite, **changes) -> str:
    with pytest.raises(InputError) as caught:
        plan_of(suite, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("scale", SCALES)
def test_a_row_that_changes_nothing_is_refused(plan_of, suite, scale):
    """It would be a second copy of the base row under a name that says otherwise."""
    suite["rows"]["minus-weight-drop"]["set"] = {"clip": suite["base"]["clip"]}
    said = complaint(plan_of, suite, scale=scale)
    assert "row 'minus-weight-drop': set.clip is what the base row has" in said
    assert f"scales.{scale}.rows.minus-weight-drop" in said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("base", "hiden_size"), 1, "base: no hyperparameter 'hiden_size'; did you mean 'hidden"),
        (("base", "seed"), 1, "base: no hyperparameter 'seed'"),
        (("base", "corpus"), "ptb", "base: no hyperparameter 'corpus'"),
        (("corpora", "ptb", "x"), 1, "corpora.ptb: no hyperparameter 'x'"),
        (("rows", "full", "set"), {"weigth_drop": 1}, "did you mean 'weight_drop'?"),
        (("scales", "paper", "set"), {"epoch": 1}, "scales.paper.set: no hyperparameter 'epoch'"),
        (("scales", "demo", "rows", "ful"), {}, "scales.demo.rows: no row 'ful'; did you mean"),
        (
            ("scales", "demo", "corpora"),
            ["pbt"],
            "merity2018.yaml: scales.demo.corpora: unknown corpus 'pbt': did you mean 'ptb'?",
        ),
        (("base_row",), "ful", "base_row: no row 'ful'; did you mean 'full' or "),
        (("published",), "merity2017", "published: no published study 'merity2017'; did you mean"),
        (("published",), "../x", "published: '../x' is no name"),
        (("rows", "full", "published"), "ful", "rows.full.published: no published row 'ful'; did"),
        (("rows", "full", "stage"), "finetuning", "rows.full.stage: no 'finetuning'; did you mean"),
        (("scales", "demo", "set", "finetune_epochs"), 0, "needs finetune_epochs of at least 1"),
        (("scales", "demo", "set", "layers"), 10**30, "scales.demo.set.layers must be "),
        (("base", "weight_decay"), "0,5", "write 0.5 with a decimal point"),
        (("base", "learning_rate"), "1,000", "write it without a comma, or with a decimal point"),
    ],
)
def test_a_mistake_in_a_suite_is_found_at_any_scale(plan_of, suite, path, value, said):
    """A typing error in the paper's settings is found by the demo."""
    place = suite
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if path[-1] == "finetune_epochs":
        suite["rows"]["full"]["stage"] = "finetune"
    assert said in complaint(plan_of, suite)


def test_the_file_is_named(plan_of):
    """With the line, where YAML itself is broken."""
    said = complaint(plan_of, TEXT.replace("base_row: full", "base_row: [full"))
    assert f"{SUITE}.yaml, line " in said
    said = complaint(plan_of, TEXT + "\ntitle: again\n")
    assert f"{SUITE}.yaml, line {len(TEXT.splitlines()) + 2}" in said
    assert "'title' is given twice" in said


def test_a_precision_makes_other_runs_in_another_folder():
    """A suite that says itself what it wants keeps it."""
    usual, bf16 = (Plan(config(**change)) for change in ({}, {"precision": "bf16"}))
    assert bf16.name == f"{usual.name}-bf16"
    assert {run.spec.precision for run in bf16.runs.values()} == {"bf16"}
    assert usual.runs.keys().isdisjoint(bf16.runs)
    asked = {"suites": "precision", "precision": "bf16"}
    assert {run.spec.precision for run in Plan(config(**asked)).runs.values()} == {"fp32", "bf16"}
