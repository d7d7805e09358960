"""The trials of a search: read from records, kept, chosen from by validation alone, shown."""

import io
import math

import pytest
import yaml
from rich.console import Console

import awd.study.suite
from awd.errors import InputError
from awd.files import read_json, write_json
from awd.report import trials
from awd.study import tuning
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan

SUITE = {
    "title": "A study",
    "base": {"hidden_size": 8, "embedding_size": 8, "finetune_epochs": 2},
    "base_row": "lstm",
    "rows": {
        "lstm": {"label": "LSTM"},
        "gru": {"label": "GRU", "set": {"cell": "gru", "dropout_output": 0.2}},
        "cached": {
            "label": "cached",
            "method": "cache",
            "set": {"cache_window": 5, "cache_theta": 1, "cache_weight": 0.1},
        },
    },
    "figures": ["curves"],
    "scales": {
        "demo": {
            "corpora": ["known-entropy"],
            "tuning": {
                "learning_rate": {"low": 0.1, "high": 10, "log": True},
                "dropout_output": [0, 0.1, 0.2, 0.3],
            },
        }
    },
}


@pytest.fixture
def plan_of(tmp_path, monkeypatch):
    """Plan so many trials of rows of the suite, whose files are in a folder of their own."""
    (tmp_path / "suites").mkdir()
    monkeypatch.setattr(awd.study.suite, "SUITES", tmp_path / "suites")
    monkeypatch.setattr(tuning, "TUNING", tmp_path / "tuning")

    def make(budget: int, *rows: str, suite: dict = SUITE, **changes) -> Plan:
        path = tmp_path / "suites/mine.yaml"
        path.write_text(yaml.safe_dump(suite), encoding="utf-8")
        asked = {"rows": list(rows or ["lstm"]), "budget": budget}
        words = {"suites": "mine", "trials": asked, "results": str(tmp_path / "results")}
        return Plan(load_config(CONFIG, words | changes))

    return make


def finish(plan: Plan, *perplexities: float | None) -> None:
    """Leave the records of trainings with these validation perplexities; None has diverged."""
    for trial, value in zip(plan.trials, perplexities, strict=False):
        record = {
            "format": 2,
            "run": trial.run,
            "status": "diverged" if value is None else "done",
            "reason": None,
            "spec": plan.runs[trial.run].spec.as_dict(),
            "corpus": {},
            "weights_sha256": "0",
            "result": {"valid_perplexity": value or 1.0, "best_epoch": 3},
        }
        write_json(plan.runs[trial.run].folder / "train.json", record)


def test_trials_are_trainings_of_the_row_with_seeds_of_their_own(plan_of):
    """Another training each, not fine-tuned and not evaluated, none of them the study's."""
    plan = plan_of(3)
    study = Plan(plan.config.model_dump() | {"trials": None, "suites": "mine"})
    assert not plan.runs.keys() & study.runs.keys()
    specs = [plan.runs[trial.run].spec for trial in plan.trials]
    assert [spec.seed for spec in specs] == [1001, 1002, 1003]
    for spec, trial in zip(specs, plan.trials, strict=True):
        assert {key: getattr(spec, key) for key in trial.settings} == trial.settings
        assert (spec.finetune_epochs, spec.hidden_size) == (0, 8)
    assert [run.stages for run in plan.runs.values()] == [{"train"}] * 3
    assert plan.evaluations() == []
    with pytest.raises(InputError, match="no part of a study's plan"):
        plan.write()


def test_a_larger_budget_continues_and_rows_try_the_same_values(plan_of):
    few, more = plan_of(2, "lstm", "gru"), plan_of(5, "lstm")
    assert [trial.run for trial in few.trials[:2]] == [trial.run for trial in more.trials[:2]]
    lstm, gru = few.trials[:2], few.trials[2:]
    assert [each.settings["learning_rate"] for each in lstm] == [
        each.settings["learning_rate"] for each in gru
    ]
    assert all("dropout_output" not in each.settings for each in gru), "the row sets it itself"
    assert plan_of(2, precision="bf16").trials[0].search != more.trials[0].search


@pytest.mark.parametrize(
    ("rows", "changes", "said"),
    [
        (["cached"], {}, "row 'cached' is evaluated by method 'cache'; search the row"),
        (["lstmm"], {}, "no row 'lstmm'; did you mean 'lstm'?"),
        (["lstm"], {"recipe": "readme"}, "a search is of recipe default, not readme"),
        (["lstm"], {"scale": "small"}, "has no scale 'small'"),
        (["lstm"], {"suites": ["mine", "other"]}, "a search is of one suite"),
        ([], {"trials": {"rows": ["lstm"], "budget": 0}}, "trials.budget must be at least 1"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(plan_of, rows, changes, said):
    with pytest.raises(InputError) as caught:
        plan_of(2, *rows, **changes)
    assert said in str(caught.value)


def test_the_best_on_validation_is_kept_and_read_by_the_suite(plan_of, tmp_path):
    plan = plan_of(4)
    finish(plan, 50.0, None, 40.0, 45.0)
    file, choices = trials.keep(plan)
    assert file == tmp_path / "tuning/mine-demo.csv"
    lines = trials.read(file)
    assert [line["status"] for line in lines] == ["done", "diverged", "done", "done"]
    assert {line["learning_rate"] for line in lines} == {
        str(each.settings["learning_rate"]) for each in plan.trials
    }
    chosen = tuning.read_choices("mine", "demo")["known-entropy"]["lstm"]
    assert (chosen.trial, chosen.trials, chosen.valid_perplexity) == (3, 4, 40.0)
    assert chosen.set == plan.trials[2].settings
    study = Plan(load_config(CONFIG, {"suites": "mine", "results": str(tmp_path)}))
    specs = [run.spec for run in study.runs.values() if "mine/lstm" in run.rows]
    rates = {spec.learning_rate for spec in specs}
    assert rates == {plan.trials[2].settings["learning_rate"]}
    (suite,) = study.suites.values()
    assert any("among 4 trials of a random search" in note for note in suite["notes"])
    assert choices in study.suite_files
    assert plan_of(4).trials == plan.trials, "what is chosen has no part in a search"


def test_every_trial_stays_on_file(plan_of):
    """Those of other rows, and of ranges that were searched before; a search is never cut."""
    one, other = plan_of(3), plan_of(2, "gru")
    finish(one, 50.0, 49.0, 48.0)
    finish(other, 30.0, 31.0)
    trials.keep(one)
    file, _ = trials.keep(other)
    assert [line["row"] for line in trials.read(file)] == ["gru"] * 2 + ["lstm"] * 3
    changed = {**SUITE, "scales": {"demo": {**SUITE["scales"]["demo"], "tuning": {"clip": [1, 2]}}}}
    later = plan_of(1, suite=changed)
    finish(later, 60.0)
    trials.keep(later)
    lines = trials.read(file)
    assert len(lines) == 6
    assert {line["clip"] for line in lines} == {"", *map(str, {later.trials[0].settings["clip"]})}
    choices = tuning.read_choices("mine", "demo")["known-entropy"]
    assert (choices["gru"].valid_perplexity, choices["lstm"].valid_perplexity) == (30.0, 60.0)
    with pytest.raises(InputError, match="never cut; give a --budget of at least 3"):
        trials.keep(plan_of(2))


def test_a_hopeless_trial_is_never_chosen(plan_of):
    """However good its number looks beside those of trainings that went on."""
    plan = plan_of(2)
    finish(plan, 50.0, 60.0)
    path = plan.runs[plan.trials[0].run].folder / "train.json"
    write_json(path, read_json(path) | {"status": "hopeless"})
    assert math.isinf(trials.perplexity(trials.gather(plan)[0]))
    trials.keep(plan)
    (choice,) = tuning.read_choices("mine", "demo")["known-entropy"].values()
    assert choice.trial == 2


def test_what_is_missing_or_all_diverged_is_refused(plan_of):
    plan = plan_of(2)
    finish(plan, 50.0)
    with pytest.raises(InputError, match="1 of 2 trials are not trained yet"):
        trials.keep(plan)
    finish(plan, None, None)
    with pytest.raises(InputError, match="all 2 trials of row 'lstm' on known-entropy diverged"):
        trials.keep(plan)
    path = tuning.file_of("mine", "demo").with_suffix(".csv")
    path.write_text("corpus,row\nptb,full\n")
    with pytest.raises(InputError, match=r"mine-demo.csv is no file of trials"):
        trials.keep(plan)


def test_the_curve_is_shown_of_what_is_trained(plan_of):
    plan = plan_of(5)
    finish(plan, 50.0, 40.0, 45.0)
    console = Console(file=io.StringIO(), width=120)
    trials.show(plan, console)
    said = console.file.getvalue()
    assert "lstm on known-entropy" in said
    assert "Best: trial 2 of 3, validation perplexity 40.00: dropout_output" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["1", "45.00", "45.00"] in [row[:3] for row in rows]
    assert ["3", "40.00", "40.00"] in [row[:3] for row in rows]
