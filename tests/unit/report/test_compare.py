"""Two folders of results: equal ones, other seeds, other texts, other protocols."""

import json
import math
import shutil

import numpy as np
import pytest
from rich.console import Console
from synthetic import make_plan, write_runs

from awd.errors import InputError
from awd.report import records
from awd.report.compare import (
    DIFFERENT,
    UNDECIDED,
    Outcome,
    cells,
    compare_folders,
    exit_code,
    markdown,
    sentences,
    show,
)

RECORD = "finetune.stream.json"


def results(folder, seeds=(1, 2, 3), scale="small", factor=1.0, offset=0, change=lambda _: None):
    """A results folder of the made-up study on one corpus.

    ``offset`` gives its trainings other names and seeds, ``factor`` multiplies the perplexities of
    the row without weight decay.
    """
    plan = make_plan(seeds=tuple(seed + offset for seed in seeds), corpora=("ptb",), scale=scale)
    change(plan)
    (folder / scale / "plans").mkdir(parents=True)
    (folder / scale / "plans/merity2018.json").write_text(json.dumps(plan))
    write_runs(plan, folder / "runs")
    for path in folder.glob(f"runs/*minus-weight-decay/{RECORD}"):
        record = json.loads(path.read_text())
        for values in record["splits"].values():
            scaled = values["nll"] + values["tokens"] * math.log(factor)
            if values["blocks"]:
                tokens = np.array(values["blocks"]["tokens"])
                nll = np.array(values["blocks"]["nll"]) + tokens * math.log(factor)
                values["blocks"]["nll"] = nll.tolist()
            values["by_frequency"] = None
            values |= {"nll": scaled, "perplexity": values["perplexity"] * factor}
        path.write_text(json.dumps(record))
    return folder


def outcomes(comparison) -> dict[str, Outcome]:
    return {row.row: row.outcome for row in comparison.rows}


def test_a_copy_is_equal_to_the_last_bit(tmp_path):
    first = results(tmp_path / "a")
    shutil.copytree(first, tmp_path / "b")
    (found,) = compare_folders(first, tmp_path / "b")
    assert set(outcomes(found).values()) == {Outcome.EQUAL, Outcome.ONE_SIDED}
    assert outcomes(found)["minus-ar-tar"] is Outcome.ONE_SIDED, "neither has this row"
    assert (found.equal, found.evaluations, found.code) == (24, 24, 0)
    assert "All 8 rows that both have are equal to the last bit." in markdown([found])


def test_a_copy_without_run_folders_is_equal_too(tmp_path):
    """records.csv and curves.csv keep every number to the last bit."""
    first = results(tmp_path / "a")
    plan = json.loads((first / "small" / "plans/merity2018.json").read_text())
    frames = records.collect(plan, first / "runs")
    (tmp_path / "b" / "small" / "plans").mkdir(parents=True)
    shutil.copy(first / "small" / "plans/merity2018.json", tmp_path / "b" / "small" / "plans")
    records.write(*frames, tmp_path / "b" / "small")
    (found,) = compare_folders(first, tmp_path / "b")
    assert found.equal == found.evaluations == 24
    (found,) = compare_folders(tmp_path / "b" / "small", first)
    assert found.code == 0


def test_one_other_bit_is_found(tmp_path):
    first = results(tmp_path / "a")
    second = tmp_path / "b"
    shutil.copytree(first, second)
    path = next(second.glob(f"runs/*s1*minus-nt-asgd/{RECORD}"))
    record = json.loads(path.read_text())
    test = record["splits"]["test"]
    test["perplexity"] = float(np.nextafter(test["perplexity"], 0))
    path.write_text(json.dumps(record))
    (found,) = compare_folders(first, second)
    assert found.equal == found.evaluations - 1
    assert outcomes(found)["minus-nt-asgd"] is Outcome.WITHIN
    assert found.code == 0


def test_a_curve_that_differs_is_no_equal_training(tmp_path):
    first = results(tmp_path / "a")
    second = tmp_path / "b"
    shutil.copytree(first, second)
    path = next(second.glob("runs/*s1*minus-nt-asgd/finetune.csv"))
    header, line, *rest = path.read_text().splitlines(keepends=True)
    values = dict(zip(header.split(","), line.split(","), strict=True))
    for column, same in (("seconds", True), ("train_loss", False)):
        changed = ",".join((values | {column: "9.5"}).values())
        path.write_text("".join([header, changed, *rest]))
        (found,) = compare_folders(first, second)
        assert (found.equal == found.evaluations) is same


def test_other_seeds_are_no_difference_and_a_changed_row_is_one(tmp_path):
    first = results(tmp_path / "a")
    (found,) = compare_folders(first, results(tmp_path / "b", offset=3))
    assert set(outcomes(found).values()) == {Outcome.WITHIN, Outcome.ONE_SIDED}
    assert (found.code, found.evaluations) == (0, 0)
    (found,) = compare_folders(first, results(tmp_path / "c", offset=3, factor=1.1))
    assert outcomes(found).pop("minus-weight-decay") is Outcome.HIGHER
    assert found.code == DIFFERENT
    row = next(row for row in found.rows if row.row == "minus-weight-decay")
    assert row.difference.nats == pytest.approx(math.log(1.1), abs=0.015)
    assert row.p_holm < 0.05
    assert "B is higher" in markdown([found])
    (back,) = compare_folders(tmp_path / "c", first)
    assert outcomes(back)["minus-weight-decay"] is Outcome.LOWER


def test_one_training_a_row_decides_nothing(tmp_path):
    first, second = results(tmp_path / "a", (1,)), results(tmp_path / "b", (1,), offset=1)
    for folder in (first, second):  # rows alike but for the seed would be two trainings of one
        plan = json.loads((folder / "small" / "plans/merity2018.json").read_text())
        for run in plan["runs"].values():
            run["spec"]["recipe"] = folder.name
        (folder / "small" / "plans/merity2018.json").write_text(json.dumps(plan))
    (found,) = compare_folders(first, second)
    assert found.code == UNDECIDED
    assert "8 undecided (no row trained on the same text has several" in markdown([found])
    assert "recipe a → b" in markdown([found])


def test_rows_that_went_astray_are_undecided_for_that_reason(tmp_path):
    """The noise of other rows does not decide about them."""

    def fewer_types(folder):
        for path in folder.glob(f"runs/*minus-weight-decay/{RECORD}"):
            record = json.loads(path.read_text())
            record["protocol"]["vocabulary"] = 10
            path.write_text(json.dumps(record))
        return folder

    first = fewer_types(results(tmp_path / "a", (1,)))
    second = fewer_types(results(tmp_path / "b", (1,), offset=1, factor=3.0))
    (found,) = compare_folders(first, second)
    assert outcomes(found)["minus-weight-decay"] is Outcome.UNKNOWN
    assert outcomes(found)["minus-nt-asgd"] is Outcome.WITHIN
    assert found.code == UNDECIDED
    assert "1 undecided (the row in A has one training here and does not" in markdown([found])


def test_a_diverged_training_is_a_difference(tmp_path):
    first = results(tmp_path / "a", (1,))
    second = tmp_path / "b"
    shutil.copytree(first, second)
    path = next(second.glob(f"runs/*minus-nt-asgd/{RECORD}"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "diverged"}))
    (found,) = compare_folders(first, second)
    assert outcomes(found)["minus-nt-asgd"] is Outcome.STATUS
    assert found.code == DIFFERENT
    assert "done in A, diverged in B" in markdown([found])


def of_other_text(folder):
    """The ``folder`` of results with another fingerprint of its text."""
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace("0123456789abcdef", "fedcba9876543210"))
    return folder


def test_other_texts_scales_and_protocols_are_refused(tmp_path):
    first = results(tmp_path / "a", (1,))
    with pytest.raises(InputError, match=r"texts of 'ptb' differ \(fingerprints 0123456789"):
        compare_folders(first, of_other_text(results(tmp_path / "b", (1,))))
    with pytest.raises(InputError, match="scales are small and paper"):
        compare_folders(first, results(tmp_path / "c", (1,), scale="paper"))
    second = tmp_path / "d"
    shutil.copytree(first, second)
    path = next(second.glob(f"runs/*minus-nt-asgd/{RECORD}"))
    record = json.loads(path.read_text())
    record["protocol"]["batch_size"] = 10
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"'minus-nt-asgd' .* batch size 1 and 10"):
        compare_folders(first, second)


def test_scales_that_are_not_compared_are_named(tmp_path, caplog):
    first, second = results(tmp_path / "a", (1,)), results(tmp_path / "b", (1,))
    results(first, (1,), scale="paper")
    results(second, (1,), scale="demo")
    compare_folders(first, second, "small")
    assert not caplog.messages
    (found,) = compare_folders(first, second)
    assert found.scale == "small"
    only = f"paper (only in {first}), demo (only in {second})"
    assert caplog.messages == [f"scales not compared: {only}"]


def two_suites(plan):
    """Make a second suite of the plan's last rows, one of which has a name of its own."""
    (suite,) = plan["suites"]
    rows = [row | {"row": "alone"} if row is suite["rows"][-1] else row for row in suite["rows"]]
    plan["suites"] = [suite | {"rows": rows[:4]}, suite | {"suite": "other2020", "rows": rows[4:]}]


def test_a_comparison_can_be_limited_to_suites(tmp_path):
    folders = [results(tmp_path / name, change=two_suites) for name in "ab"]
    (found,) = compare_folders(*folders)
    assert {row.suite for row in found.rows} == {"merity2018", "other2020"}
    (limited,) = compare_folders(*folders, suites=["other2020"])
    expected = [row for row in found.rows if row.suite == "other2020"]
    assert list(map(str, limited.rows)) == list(map(str, expected)), "a nan is another nan"
    assert limited.noise == found.noise, "it is that of all studies"
    assert 0 < limited.evaluations < found.evaluations
    with pytest.raises(InputError, match="neither folder has 'other'; did you mean 'other2020'"):
        compare_folders(*folders, suites=["other"])


def test_rows_that_are_left_out_are_counted(tmp_path):
    """Those that one plan alone has, and those without a result in either."""
    first, second = results(tmp_path / "a", change=two_suites), results(tmp_path / "b")
    (found,) = compare_folders(first, second)
    assert found.alone == {"merity2018": (0, 5), "other2020": (5, 0)}
    text = " ".join(sentences(found))
    assert "Left out, as only the plan of A has them: other2020 (5 rows)." in text
    assert "Left out, as only the plan of B has them: merity2018 (5 rows)." in text
    (found,) = compare_folders(first, first)
    assert found.alone == {}
    assert "Left out: 1 row without a result in A and B." in sentences(found)
    assert len(cells(found)) == len(found.rows) - 1


def test_without_any_result_there_is_no_table(tmp_path, capsys):
    first = results(tmp_path / "a")
    shutil.rmtree(first / "runs")
    show(compare_folders(first, first))
    assert "No row has results in both." in capsys.readouterr().out
    assert "Left out: 9 rows" in markdown(compare_folders(first, first))


def test_folders_without_results_are_refused(tmp_path):
    first = results(tmp_path / "a", (1,))
    with pytest.raises(InputError, match="is not a folder"):
        compare_folders(first, tmp_path / "none")
    (tmp_path / "link").symlink_to("disk/results")
    with pytest.raises(InputError, match="link is a link to disk/results, which is not there"):
        compare_folders(first, tmp_path / "link")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no plan of any scale"):
        compare_folders(first, tmp_path / "empty")

    def rename(plan):
        plan["suites"][0]["suite"] = "another"

    with pytest.raises(InputError, match="no row in common"):
        compare_folders(first, results(tmp_path / "b", (1,), change=rename))


def test_the_terminal_has_what_the_markdown_has(tmp_path):
    compared = compare_folders(results(tmp_path / "a"), results(tmp_path / "b", offset=3))
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    show(compared, console)
    text = console.export_text()
    for row in (row for row in compared[0].rows if any(row.states)):
        assert row.label in text
        assert row.label in markdown(compared)
    assert exit_code(compared) == 0
