"""The best row beside the second: which they are, and whether they differ beyond noise."""

import dataclasses
import math
import shutil

import numpy as np
import pytest
from synthetic import make_plan, write_runs
from table_study import rewrite, with_frequencies

from awd.report import records, tables
from awd.report.noise import by_split
from awd.report.remarks import Ahead
from awd.report.stats import SIGNIFICANCE, Result, compare, pool
from awd.report.tables.lead import leads, remarked


def found(folder, seeds=(1, 2, 3), change=lambda _: None):
    """The leads of the made-up study, and its table."""
    plan = make_plan(seeds=seeds)
    write_runs(plan, folder / "runs")
    change(folder)
    lines, _ = records.collect(plan, folder / "runs")
    noises = by_split(lines, plan["runs"])
    (suite,) = plan["suites"]
    table = tables.build(suite, lines, "paper", plan["runs"], noises)
    return leads(suite, table, lines, "paper", plan["runs"], noises), table


def test_each_corpus_has_its_two_lowest_rows(tmp_path):
    ahead, table = found(tmp_path)
    assert list(ahead) == ["ptb", "wikitext-2"]
    for corpus, lead in ahead.items():
        lines = table[(table["corpus"] == corpus) & table["test"].notna()].sort_values("test")
        assert [lead.best["row"], lead.second["row"]] == list(lines["row"][:2])
        difference = lines["test"].iloc[1] - lines["test"].iloc[0]
        assert lead.second["delta_test"] == pytest.approx(difference)
        assert lead.second["delta_low"] < difference < lead.second["delta_high"]
        assert lead.second["p"] == lead.second["p_holm"], "it is the only comparison"


def test_a_second_row_that_is_compared_with_the_base_row_has_the_same_difference(tmp_path):
    """Where the base row is the best, the table has this comparison, too."""
    ahead, table = found(tmp_path)
    corpora = [corpus for corpus, lead in ahead.items() if lead.best["row"] == "full"]
    assert corpora
    for corpus in corpora:
        second = ahead[corpus].second
        line = table[(table["corpus"] == corpus) & (table["row"] == second["row"])].iloc[0]
        names = ["delta_test", "delta_low", "delta_high", "p"]
        assert [second[name] for name in names] == pytest.approx([line[name] for name in names])


def test_without_several_trainings_the_noise_is_unknown(tmp_path):
    ahead, _ = found(tmp_path, seeds=(1,))
    assert all(lead.second["delta_test"] > 0 for lead in ahead.values())
    assert all(math.isnan(lead.second["p_holm"]) for lead in ahead.values())


def test_rows_that_do_not_count_do_not_lead(tmp_path):
    def change(folder):
        for path in folder.glob("runs/ptb-*-full/*.stream.json"):
            rewrite(path, status="leaks", reason="it reads ahead")
        with_frequencies(folder, 1.0)

    ahead, table = found(tmp_path, change=change)
    assert list(ahead) == ["wikitext-2"], "on ptb no row is better than word frequencies"
    best = table[table["corpus"] == "wikitext-2"].dropna(subset=["test"]).nsmallest(1, "test")
    assert ahead["wikitext-2"].best["row"] == best["row"].item()


def test_a_single_row_has_no_second(tmp_path):
    ahead, _ = found(
        tmp_path,
        change=lambda folder: [
            path.unlink()
            for path in folder.glob("runs/*/*.stream.json")
            if not path.parent.name.endswith("-minus-nt-asgd")
        ],
    )
    assert {lead.best["row"] for lead in ahead.values()} == {"minus-nt-asgd"}
    assert all(lead.second is None for lead in ahead.values())


@pytest.mark.parametrize("seeds", [(3, 1), (3, 1, 1, 1, 1), (3, 3, 3, 3)])
def test_equal_rows_lead_beyond_noise_no_more_often_than_the_level(seeds):
    """Although the pair is chosen by its numbers: the p value is not corrected for that."""
    generator = np.random.default_rng(sum(seeds))
    times, beyond = 1500, 0
    for _ in range(times):
        rows = [
            [Result(loss) for loss in 4.6 + 0.01 * generator.standard_normal(count)]
            for count in seeds
        ]
        pooled = pool(rows)
        rows.sort(key=lambda row: np.mean([each.loss for each in row]))
        beyond += compare(rows[1], rows[0], pooled).p < SIGNIFICANCE
    error = math.sqrt(SIGNIFICANCE * (1 - SIGNIFICANCE) / times)
    assert beyond / times < SIGNIFICANCE + 3 * error


def test_before_the_first_run_no_row_leads(tmp_path):
    ahead, _ = found(tmp_path, change=lambda folder: shutil.rmtree(folder / "runs"))
    assert ahead == {}


def ahead_of(table):
    """The remarks that compare a row of a table with the second best, by corpus and row."""
    return {
        (line["corpus"], line["row"]): each
        for line in table.to_dict("records")
        for each in line["remarks"]
        if isinstance(each, Ahead)
    }


def test_a_remark_on_the_best_row_compares_it_with_the_second(tmp_path):
    """Unless one of both is the base row: then the other has this difference already."""
    ahead, table = found(tmp_path)
    remarks = ahead_of(remarked({"base": "minus-weight-drop"}, table, ahead))
    assert remarks.keys() == {(corpus, lead.best["row"]) for corpus, lead in ahead.items()}
    for (corpus, _), remark in remarks.items():
        second = ahead[corpus].second
        names = ["label", "delta_test", "delta_low", "delta_high", "p"]
        assert [*dataclasses.astuple(remark)[:5]] == [second[name] for name in names]
        assert remark.beyond == (second["p"] < SIGNIFICANCE)
    for base in {lead.best["row"] for lead in ahead.values()}:
        corpora = {corpus for corpus, lead in ahead.items() if lead.best["row"] != base}
        assert {corpus for corpus, _ in ahead_of(remarked({"base": base}, table, ahead))} <= corpora


def test_without_known_noise_there_is_no_remark(tmp_path):
    ahead, table = found(tmp_path, seeds=(1,))
    assert ahead_of(remarked({"base": "minus-weight-drop"}, table, ahead)) == {}
