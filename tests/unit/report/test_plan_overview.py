"""What a plan still needs: time, room, and whether a cluster's profile gives enough of it."""

import re

import pytest

from awd.errors import InputError
from awd.report.plan_overview import need, show_plan, too_long
from awd.study.config import load_config
from awd.study.plan import Plan


@pytest.fixture
def plan(monkeypatch, tmp_path):
    """A function from changes of the configuration to its plan, where nothing is trained."""
    monkeypatch.chdir(tmp_path)
    return lambda **changes: Plan(load_config(overrides=changes))


def shown(plan: Plan, capsys, *arguments) -> str:
    show_plan(plan, *arguments)
    return " ".join(capsys.readouterr().out.split())


def test_one_of_a_thing_is_not_several(plan, capsys):
    text = shown(plan(suites="kim2024", scale="demo"), capsys)
    assert "1 suite, 7 rows, 1 to 3 seeds: 9 runs, 1 of them shared" in text
    assert "core-hours" not in text
    assert re.search(r"about \d+ (s|min) of one core", text)


def test_each_of_several_suites_has_its_needs(plan, capsys):
    several = plan(suites="kim2024,merity2018", scale="paper")
    text = shown(several, capsys)
    for suite in ("kim2024", "merity2018"):
        assert re.search(rf" {suite} \d+ [\d.,]+ h [\d.,]+ (h|min) [\d.]+ [MG]B", text)


def test_room_is_that_of_weights_losses_and_checkpoints(plan):
    """Kim and Choi's LSTM: 37 MB a checkpoint, of which there are two generations."""
    made = plan(suites="kim2024", scale="paper")
    found = need(made.runs.values(), made)
    assert found.checkpoint == pytest.approx(2 * 37e6, rel=0.02)
    assert found.disk == pytest.approx(len(made.runs) * (18.6e6 + 4 * 156_190), rel=0.02)
    assert found.unknown == 0


def test_what_is_done_is_not_counted(plan):
    made = plan(suites="kim2024", scale="demo")
    before = need(made.runs.values(), made)
    for run in made.runs.values():
        run.folder.mkdir(parents=True)
        (run.folder / "train.json").write_text("{}")
    assert before.core > 0
    assert need(made.runs.values(), made).core == 0


def profile(folder, text: str):
    (folder / "profile.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_profile_that_gives_too_little_time_is_named_with_the_run(plan, tmp_path, capsys):
    text = "retries: 2\nset-resources:\n  train: {runtime: 60}\n  finetune: {runtime: 100000}\n"
    paper = plan(suites="merity2018", scale="paper", corpora="ptb", device="cuda")
    (sentence,) = too_long(paper, profile(tmp_path, text))
    assert re.search(r"gives train 3 times 1\.0 h, but ptb-lstm3x1150\S+ needs about", sentence)
    assert f"warning: {sentence}" in shown(paper, capsys, tmp_path)
    on_cpu = plan(suites="merity2018", scale="paper", corpora="ptb", device="cpu")
    assert "on one core" in too_long(on_cpu, tmp_path)[0]
    assert too_long(paper, profile(tmp_path, text.replace("retries: 2", "retries: 200"))) == []


@pytest.mark.parametrize("text", ["retries: many\nset-resources: {train: {runtime: 1}}\n", "[1]\n"])
def test_a_profile_without_numbers_is_refused(plan, tmp_path, text):
    with pytest.raises(InputError, match=r"profile\.yaml: retries and runtime must be"):
        too_long(plan(suites="kim2024", scale="paper"), profile(tmp_path, text))


def test_the_profile_of_the_project_can_be_read(plan):
    from awd.places import HOME

    assert too_long(plan(suites="kim2024"), HOME / "workflow/profiles/slurm") == []
