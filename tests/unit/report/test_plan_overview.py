"""What a plan still needs: time, room, and whether a cluster's profile gives enough of it."""

import json
import re
from dataclasses import replace

import pytest

from awd.errors import InputError
from awd.machine import cpu
from awd.report.plan_overview import Estimates, Need, need, show_plan, times_of_jobs
from awd.runs.progress import duration
from awd.study import cost, new_suite
from awd.study.config import load_config
from awd.study.plan import Plan


@pytest.fixture
def plan(monkeypatch, tmp_path):
    """A function from changes of the configuration to its plan, where nothing is trained."""
    monkeypatch.chdir(tmp_path)
    return lambda **changes: Plan(load_config(overrides=changes))


def lines(plan: Plan, capsys, *arguments) -> list[str]:
    show_plan(plan, *arguments)
    return capsys.readouterr().out.splitlines()


def shown(plan: Plan, capsys, *arguments) -> str:
    return " ".join(" ".join(lines(plan, capsys, *arguments)).split())


def needs(plan: Plan) -> Need:
    return need(plan.runs.values(), plan, Estimates(plan))


def warnings(plan: Plan, folder) -> list[str]:
    return times_of_jobs(plan, folder, Estimates(plan))[1]


def train(plan: Plan, *, seconds=10.0, stage="train", device=None, only=None) -> None:
    """Write the records of all runs, or of some, each of which took the seconds."""
    for run in only or plan.runs.values():
        sizes = plan.sizes(run.spec.corpus)
        record = {
            "format": 2,
            "run": run.name,
            "status": "done",
            "reason": None,
            "weights_sha256": None,
            "spec": run.spec.as_dict(),
            "corpus": {"vocabulary": sizes["vocabulary"], "tokens": sizes["tokens"]},
            "result": {"epochs": run.spec.epochs},
            "devices": [device or {"kind": "cpu", "name": cpu.name(), "threads": 1}],
            "seconds": seconds,
            "peak_memory_mb": 123.4,
        }
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / f"{stage}.json").write_text(json.dumps(record))


def test_one_of_a_thing_is_not_several(plan, capsys):
    text = shown(plan(suites="kim2024", scale="demo"), capsys)
    assert "1 suite, 6 rows, 1 to 3 seeds: 8 runs, 1 of them shared" in text
    assert "core-hours" not in text
    assert re.search(r"about \d+ (s|min) on one core \(\d+ (s|min) of training\)", text)


def test_relative_values_are_shown_with_their_products(plan, capsys, tmp_path):
    """Each once, with the rows that have it."""
    path = new_suite.write("mine", tmp_path / "workflow/suites")
    text = path.read_text(encoding="utf-8")
    text = text.replace("{cell: gru, learning_rate: 10}", "{cell: gru, learning_rate: x0.5}")
    text = text.replace(
        "{corpora: [networkx-docs]}", "{corpora: [networkx-docs], set: {epochs: x2}}"
    )
    path.write_text(text, encoding="utf-8")
    shown_text = shown(plan(suites="mine"), capsys)
    assert "learning_rate x0.5 is 10: mine/gru " in shown_text
    assert "epochs x2 is 12: mine/lstm, mine/no-dropout, mine/gru " in shown_text


def test_each_of_several_suites_has_its_needs(plan, capsys):
    several = plan(suites="kim2024,merity2018", scale="paper")
    text = shown(several, capsys)
    for suite in ("kim2024", "merity2018"):
        assert re.search(rf" {suite} \d+ [\d.,]+ (h|days) [\d.]+ (h|min) [\d.]+ [MG]B", text)


def test_room_is_that_of_weights_losses_and_checkpoints(plan):
    """Kim and Choi's LSTM: 37 MB a checkpoint, of which there are two generations."""
    made = plan(suites="kim2024", scale="paper")
    found = needs(made)
    assert found.checkpoint == pytest.approx(2 * 37e6, rel=0.02)
    assert found.disk == pytest.approx(len(made.runs) * (18.6e6 + 4 * 156_190), rel=0.02)
    assert found.unknown == 0


def test_what_is_done_is_not_counted(plan):
    made = plan(suites="kim2024", scale="demo")
    assert needs(made).core.training > 0
    train(made)
    after = needs(made)
    assert after.core.training == after.gpu.training == after.checkpoint == 0
    losses = sum(made.sizes("networkx-docs")["tokens"][split] for split in ("valid", "test"))
    evaluations = sum(len(run.evaluations) for run in made.runs.values())
    assert after.disk == 4 * losses * evaluations, "the evaluations have no records yet"


def test_a_short_training_is_the_least_of_what_a_study_takes(plan, capsys, tmp_path):
    """Jobs start, evaluate and draw; an evaluation reads about as much as an epoch."""
    path = new_suite.write("mine", tmp_path / "workflow/suites")
    text = path.read_text(encoding="utf-8")
    text = text.replace("  epochs: 6\n", "  epochs: 1\n  train_tokens: 3000\n")
    path.write_text(text, encoding="utf-8")
    made = plan(suites="mine", base_seeds=1)
    found = needs(made)
    assert found.core.besides == pytest.approx(3 * cost.START + found.core.training), (
        "one epoch each"
    )
    total = found.core.total + cost.WORKFLOW + 2 * cost.FIGURE
    (shown_total,) = re.findall(
        r"about (\d+) s on one core \(\d s of training\)", shown(made, capsys)
    )
    assert int(shown_total) == pytest.approx(total, abs=1)
    assert total > 5 * found.core.training
    train(made)
    after = needs(made)
    assert (after.core.training, after.core.besides > 3 * cost.START) == (0, True), (
        "evaluations are jobs"
    )
    for run in made.runs.values():
        (run.folder / "train.stream.json").write_text("{}")
    assert needs(made) == Need()
    text = shown(made, capsys)
    assert " 0 s" not in text
    assert "0 of them shared by several rows; 3 done. Nothing is left to do. One more" in text


def test_what_is_to_be_evaluated_is_not_to_be_trained(plan, capsys):
    made = plan(suites="kim2024", scale="demo")
    train(made)
    text = shown(made, capsys)
    assert re.search(r"Still to do: about \d+ s of evaluations, tables and figures; all is", text)
    assert "to do" not in text.replace("Still to do", "")
    assert text.count("to evaluate") == sum(bool(run.evaluations) for run in made.runs.values())


def test_the_table_has_what_is_left_of_each_run(plan, capsys):
    """No time for what is done, half of it for what is half done."""
    made = plan(suites="kim2024", scale="paper", corpora="ptb")
    first, *others = made.runs.values()
    before = need([first], made, Estimates(made)).core.training
    assert need(others, made, Estimates(made)).core.training > before
    folder = made.checkpoints / first.name
    folder.mkdir(parents=True)
    facts = {"epoch": 20, "epochs": 39, "fraction": 0.5}
    (folder / "train.progress.json").write_text(json.dumps(facts))
    assert need([first], made, Estimates(made)).core.training == before, (
        "it has no checkpoint to go on from"
    )
    (folder / "train.checkpoint").write_text("")
    assert need([first], made, Estimates(made)).core.training == pytest.approx(before / 2)
    train(made)
    (line,) = [line for line in lines(made, capsys) if line.startswith(first.name)]
    assert re.fullmatch(r"\S+ +kim2024/lstm +4,653,200 +to evaluate *", line)


def test_one_more_seed_costs_what_is_not_trained(plan, capsys):
    """All rows, the ensemble by two members; nothing of the trained ones."""
    two = plan(suites="kim2024", scale="demo", seeds=2)
    three = plan(suites="kim2024", scale="demo", seeds=3)
    new = [run for name, run in three.runs.items() if name not in two.runs]
    estimates = Estimates(two)
    found = need(new, two, estimates)
    assert len(new) == 5
    said = "One more seed of each row (seeds=3): 5 more runs"
    core = duration(found.core.total)
    assert f"{said}, about {core} on one core, or " in shown(two, capsys)
    train(two)
    third = next(run for run in new if "kim2024/gru" in run.rows)
    train(three, only=[third])
    rest = need(new, two, Estimates(two))
    core = duration(rest.core.total)
    assert f"{said} (1 done), about {core} on one core, or " in shown(two, capsys)
    listed = plan(suites="kim2024", scale="demo", seeds=[4, 7])
    assert "One more seed of each row (seeds=[4,7,8]): " in shown(listed, capsys)


def test_a_stage_without_evaluation_has_no_losses(plan):
    """Fine-tuned rows need the training before it, but no row reads it without fine-tuning."""
    made = plan(suites="merity2018", scale="demo")
    run = next(run for run in made.runs.values() if run.stages == {"finetune"})
    alone = need([run], made, Estimates(made)).disk
    sizes = made.sizes("networkx-docs")
    losses = 4 * (sizes["tokens"]["valid"] + sizes["tokens"]["test"])
    assert alone == 2 * 4 * made.parameters(run) + len(run.evaluations) * losses


def test_after_its_training_a_run_needs_its_fine_tuning_alone(plan):
    made = plan(suites="merity2018", scale="demo")
    run = next(run for run in made.runs.values() if "finetune" in run.stages)
    before = need([run], made, Estimates(made)).gpu.training
    train(made)
    after = need([run], made, Estimates(made)).gpu.training
    share = run.spec.finetune_epochs / (run.spec.epochs + run.spec.finetune_epochs)
    assert after == pytest.approx(share * before)


def test_earlier_trainings_of_the_same_size_are_what_others_will_take(plan, capsys):
    """Five seeds after three: the new ones take as long as the old ones, on this CPU."""
    three = plan(suites="kim2024", scale="demo", seeds=3)
    assert "earlier" not in shown(three, capsys)
    train(three, seconds=1000.0)
    five = plan(suites="kim2024", scale="demo", seeds=5)
    epochs = [run.spec.epochs for run in three.runs.values()]
    new = [run for name, run in five.runs.items() if name not in three.runs]
    assert len(new) > 4
    alike = [run for run in new if run.spec.epochs == epochs[0]]
    found = need(alike, five, Estimates(five)).core.training / len(alike)
    assert found == pytest.approx(1000.0, rel=0.3)
    text = shown(five, capsys)
    assert re.search(
        rf"Time of a core of {re.escape(cpu.name())}: from \d+ earlier trainings", text
    )
    assert (
        "Time of a GPU: not measured, as no training of these sizes has run on one here; computed "
        "at 2.8 TFLOP/s, the speed of Yoon et al. on a GTX 1080 Ti." in text
    )
    assert "GPU memory" not in text


def test_the_memory_of_a_gpu_is_measured_or_not_known(plan, capsys):
    made = plan(suites="kim2024", scale="demo", device="gpu")
    said = "GPU memory of a training: "
    unknown = f"{said}not known, as none of these sizes has run on a GPU here."
    assert unknown in shown(made, capsys)
    train(made, device={"kind": "cuda", "name": "NVIDIA H100", "threads": None})
    assert f"{said}at most 123 MB in these trainings." in shown(made, capsys)


def test_trainings_on_a_gpu_name_it(plan, capsys):
    made = plan(suites="kim2024", scale="demo")
    train(made, device={"kind": "cuda", "name": "NVIDIA H100", "threads": None})
    text = shown(made, capsys)
    assert "Time of a GPU (NVIDIA H100): from 8 earlier trainings of equal size." in text
    assert re.search(r"Time of a core of .*: computed, at \d+ \(fp32\) or \d+ \(bf16\)", text)


def test_an_unknown_cpu_is_taken_for_a_measured_one(plan, capsys, monkeypatch):
    monkeypatch.setattr(cpu, "kind", lambda: "")
    monkeypatch.setattr(cpu, "name", lambda: "Some CPU")
    text = shown(plan(suites="kim2024", scale="demo"), capsys)
    assert "Time of a core of Some CPU: computed," in text
    assert "measured on a core of Zen 4, AVX2." in text


def test_days_follow_hours_with_three_digits(plan, capsys):
    text = shown(plan(suites="merity2018", scale="paper"), capsys)
    assert re.search(r"about [\d,]+ days on one core", text)


def profile(folder, text: str):
    (folder / "profile.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_profile_that_gives_too_little_time_is_named_with_the_run(plan, tmp_path, capsys):
    text = "retries: 2\nset-resources:\n  train: {runtime: 60}\n  finetune: {runtime: 100000}\n"
    paper = plan(suites="merity2018", scale="paper", corpora="ptb", device="cuda")
    (sentence,) = warnings(paper, profile(tmp_path, text))
    assert re.search(r"gives train 3 times 1\.0 h, but ptb-lstm3x1150\S+ needs about", sentence)
    assert "(too short for 9 other runs, too): raise retries or runtime" in sentence
    text_shown = shown(paper, capsys, tmp_path)
    assert f"warning: {sentence}" in text_shown
    assert re.search(r"gives finetune 3 times [\d.]+ days; the longest one needs about", text_shown)
    on_cpu = plan(suites="merity2018", scale="paper", corpora="ptb", device="cpu")
    assert "on one core" in warnings(on_cpu, tmp_path)[0]
    assert warnings(paper, profile(tmp_path, text.replace("retries: 2", "retries: 200"))) == []


def test_a_learning_rate_that_is_never_divided_is_named(plan, capsys):
    """The schedule of a row that was given fewer epochs; equal seeds are one row."""
    given = plan(suites="kim2024", scale="demo", seeds=2)
    assert "never divided" not in shown(given, capsys)
    for run in given.runs.values():
        if "kim2024/lstm" in run.rows:
            epochs = run.spec.decay_first
            given.runs[run.name] = replace(run, spec=run.spec.changed(epochs=epochs))
    said = f"row 'kim2024/lstm': decay_first {epochs} of {epochs} epochs: the learning rate is"
    assert shown(given, capsys).count(f"warning: {said} never divided") == 1


def test_texts_that_are_too_short_to_learn_from_are_named(plan, capsys, tmp_path):
    """One sentence for all rows that read so few tokens in the same way, one for the splits."""
    given = {"suites": "kim2024", "corpora": "mine", "corpus_folders": {"mine": str(tmp_path)}}

    def shown_with(**lines_of):
        for split, count in lines_of.items():
            (tmp_path / f"{split}.txt").write_text("a b c\n" * count)
        return shown(plan(**given), capsys)

    shown_with(train=300, valid=250, test=250)
    spec = next(iter(plan(**given).runs.values())).spec
    two = 2 * spec.batch_size * spec.bptt
    text = shown_with(train=two // 4)
    said = f"is 2 updates of batch_size {spec.batch_size} and bptt {spec.bptt}"
    assert text.count(f"an epoch of the {two:,} training tokens of 'mine' {said}") == 1
    assert "warning: rows 'kim2024/lstm', 'kim2024/" in text
    text = shown_with(train=two // 4 + spec.batch_size, valid=100)
    assert "updates of batch_size" not in text, "there is a third one"
    assert "to measure on: " in text
    assert "valid has 400" in text


def test_a_hidden_size_without_effect_is_named(plan, capsys, tmp_path):
    """The only layer is as wide as the decoder, which is the embedding."""
    path = new_suite.write("mine", tmp_path / "workflow/suites")
    text = path.read_text(encoding="utf-8")
    tied = text.replace("embedding_size: 64", "embedding_size: 32\n  tied: true")
    path.write_text(tied, encoding="utf-8")
    said = "hidden_size 64 has no effect: tied, its only layer has embedding_size 32 units"
    made = plan(suites="mine")
    assert f"warning: row 'mine/gru': {said}" in shown(made, capsys)
    assert {run.spec.layer_sizes()[-1][1] for run in made.runs.values()} == {32}
    path.write_text(tied.replace("  tied", "  layers: 2\n  tied"), encoding="utf-8")
    assert "no effect" not in shown(plan(suites="mine"), capsys), "of two, the first has that size"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("set-resources: {train: {runtime: '?hours * 60'}}", "runtime is '?hours * 60'"),
        ("retries: ?many\nset-resources: {train: {runtime: 1}}", "retries is '?many'"),
    ],
)
def test_what_only_snakemake_computes_is_named_and_not_compared(plan, tmp_path, capsys, text, what):
    made = plan(suites="kim2024", scale="paper")
    said = f"{what}, whose value only Snakemake computes: not compared with the time that train"
    (sentence,) = warnings(made, profile(tmp_path, text))
    assert f"profile.yaml: {said} needs" in sentence
    assert f"warning: {sentence}" in shown(made, capsys, tmp_path)
    both = plan(suites="merity2018", scale="paper", corpora="ptb")
    text = "set-resources: {train: {runtime: 60 * attempt}, finetune: {runtime: 60 * attempt}}"
    (sentence,) = warnings(both, profile(tmp_path, text))
    assert sentence.endswith("not compared with the time that train and finetune need")


def test_a_profile_that_cannot_be_read_is_refused_before_the_plan_is_shown(plan, tmp_path, capsys):
    with pytest.raises(InputError, match=r"profile\.yaml"):
        show_plan(plan(suites="kim2024"), tmp_path / "none")
    assert capsys.readouterr().out == ""


def test_the_profile_of_the_project_can_be_read(plan):
    from awd.places import HOME

    assert warnings(plan(suites="kim2024"), HOME / "workflow/profiles/slurm") == []
