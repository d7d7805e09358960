"""The rows of the page: entries that sort, and all that it takes to run a row again."""

import copy

import pytest
from synthetic import make_plan, write_runs
from table_study import study

from awd.report import records, tables
from awd.report.agreement import Verdict
from awd.report.page import rows
from awd.report.page.rows import SHOWN, SIGNS, STATES, Trainings, command
from awd.vocabulary import Status


def made(folder, change=lambda _: None, **options):
    """The page's tables of the made-up study, with its plan."""
    plan = make_plan(**options)
    change(plan)
    write_runs(plan, folder / "runs", tokens=500)
    frame, curves = records.collect(plan, folder / "runs")
    (suite,) = plan["suites"]
    table = tables.build(suite, frame, plan["scale"], plan["runs"])
    found, _ = rows.tables(suite, table, Trainings(plan, frame, curves))
    return plan, found


def test_each_outcome_has_a_sign_of_its_own_meaning():
    """Nothing is shown by colour alone."""
    assert {*STATES, *Verdict} <= SIGNS.keys()
    assert set(STATES) == set(Status)


def test_there_is_a_table_per_corpus_with_a_cell_per_column(tmp_path):
    plan, found = made(tmp_path)
    assert [table.corpus for table in found] == ["ptb", "wikitext-2"]
    for table in found:
        planned = [r for r in plan["suites"][0]["rows"] if r["corpus"] == table.corpus]
        assert [row.label for row in table.rows] == [row["label"] for row in planned]
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}
        assert sum(width for _, width in table.groups) == len(table.columns)
        assert [row.base for row in table.rows] == [row["row"] == "full" for row in planned]


def test_numbers_sort_by_their_value_and_missing_ones_last(tmp_path):
    """The text has two digits; what is sorted by has all."""
    _, (table,) = made(tmp_path, corpora=("ptb",))
    tests = [place for place, c in enumerate(table.columns) if c.name == "test"]
    published, place = tests
    for row in table.rows:
        text, value = row.cells[place]
        if row.status == Status.MISSING:
            assert value is None
        else:
            assert f"{value:,.2f}" in text
            assert row.test == f"{value:,.2f}"
        assert row.cells[published][1] is not None


def test_columns_come_in_the_order_of_the_page(tmp_path):
    _, (table,) = made(tmp_path, corpora=("ptb",))
    names = [(column.name, column.group.lower()) for column in table.columns]
    order = [(str(column.name), column.group) for column in SHOWN]
    assert [each for each in order if each in names] == names


@pytest.mark.parametrize(("scale", "pale"), [("paper", False), ("demo", True)])
def test_published_columns_are_pale_where_they_are_only_context(tmp_path, scale, pale):
    _, (table,) = made(tmp_path, corpora=("ptb",), scale=scale)
    found = {column.pale for column in table.columns if column.group == "Published"}
    assert found == {pale}


def test_a_row_names_the_others_that_share_its_training(tmp_path):
    def change(plan):
        (suite,) = plan["suites"]
        suite["rows"].append(copy.deepcopy(suite["rows"][2]) | {"row": "again", "label": "again"})

    _, (table,) = made(tmp_path, change, corpora=("ptb",))
    shared = {row.label: row.again.shared for row in table.rows}
    assert shared["− NT-ASGD"] == ["merity2018/again"]
    assert shared["again"] == ["merity2018/minus-nt-asgd"]
    assert shared["− weight-dropping"] == []


def test_changes_stand_beside_the_base_rows_values(tmp_path):
    def change(plan):
        base, other = plan["suites"][0]["rows"][0], plan["suites"][0]["rows"][2]
        other["changes"] = {"dropout": 0.0, "tied": False}
        for item in base["runs"]:
            plan["runs"][item["run"]]["spec"] |= {"dropout": 0.25, "tied": True}

    _, (table,) = made(tmp_path, change, corpora=("ptb",))
    (row,) = [row for row in table.rows if row.label == "− NT-ASGD"]
    assert row.again.changes == [("dropout", "0.25", "0"), ("tied", "on", "off")]


def test_each_seed_says_where_and_how_it_ran(tmp_path):
    _, (table,) = made(tmp_path, corpora=("ptb",), seeds=(1, 2))
    by_label = {row.label: row.again for row in table.rows}
    first, second = by_label["AWD-LSTM"].seeds
    assert (first["seed"], second["seed"]) == ("1", "2")
    assert first["device"] == "AMD EPYC, 1 thread"
    assert first["precision"] == "fp32"
    assert first["memory"] == "850 MB"
    assert first["state"] == Status.DONE
    assert [seed["state"] for seed in by_label["− AR/TAR"].seeds] == ["not evaluated yet"] * 2


def test_an_ensemble_names_all_its_seeds_and_models(tmp_path):
    def change(plan):
        plan["suites"][0]["rows"][2]["method"] = "ensemble-3"

    _, (table,) = made(tmp_path, change, corpora=("ptb",), seeds=(1, 2))
    (row,) = [row for row in table.rows if row.label == "− NT-ASGD"]
    assert [seed["seed"] for seed in row.again.seeds] == ["1, 2, 3", "4, 5, 6"]
    (place,) = [n for n, column in enumerate(table.columns) if column.name == "parameters"]
    usual = {row.label: row.cells[place] for row in table.rows}
    text, value = usual["AWD-LSTM"]
    assert usual["− NT-ASGD"] == (f"3 × {text}", 3 * value)


def test_the_reason_of_a_row_without_result_is_that_of_its_record(tmp_path):
    _, table = study(tmp_path)
    lines = {(line["row"], line["corpus"]): line for line in table.to_dict("records")}
    assert "loss became nan" in rows.reason(lines["minus-weight-decay", "wikitext-2"])
    assert rows.reason(lines["full", "ptb"]) == ""


@pytest.mark.parametrize(
    ("seeds", "special", "expected"),
    [
        ([1], {}, ""),
        ([1, 2, 3], {"recipe": "readme"}, " recipe=readme SEEDS"),
        ([2, 5], {"precision": "bf16"}, " precision=bf16 SEEDS"),
    ],
)
def test_the_command_asks_for_the_rows_runs_and_no_other(seeds, special, expected):
    """Targets, scale, suite and corpus always; the others where they are not the usual."""
    plan = make_plan(seeds=seeds) | special
    (suite,) = plan["suites"]
    said = command(plan, suite, suite["rows"][0])
    counted = "seeds=3" if seeds == [1, 2, 3] else "'seeds=[2,5]'"
    targets = " ".join(
        f"results/runs/ptb-lstm-s{s}-merity2018-full/finetune.stream.json" for s in seeds
    )
    assert said.startswith(f"snakemake --cores all {targets} --forcerun train --config scale=paper")
    middle = said.partition("scale=paper")[2]
    assert sorted(middle.split()) == sorted(
        ["suites=merity2018", "corpora=ptb", *expected.replace("SEEDS", counted).split()]
    )
