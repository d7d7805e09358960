"""The power that is promised is the power that simulated studies have."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_plan, write_runs

from awd.report import words
from awd.report.noise import Pool
from awd.report.power import (
    DEFAULT,
    Assumption,
    Design,
    assumptions,
    designs,
    power_table,
    smallest_difference,
    summary,
)
from awd.report.stats import Result, compare, pool
from awd.study import parts
from awd.vocabulary import LeftOut

PTB = Pool("ptb")
BLOCKS = 30
TOKENS = np.full(BLOCKS, 1_000.0)


def everything(_run: str) -> bool:
    return True


def nothing(_run: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("seeds", "base_seeds", "others"), [(1, 3, 0), (1, 3, 4), (3, 3, 0), (5, 5, 0)]
)
def test_the_smallest_difference_is_found_four_times_of_five(seeds, base_seeds, others):
    """Of studies with that difference, 80% find it; fewer with two degrees of freedom."""
    assumed = Assumption(0.01, 0.006, "a simulation")
    design = Design(PTB, 1, seeds, base_seeds, (seeds, base_seeds) + (3,) * others)
    effect = smallest_difference(assumed, design)
    generator = np.random.default_rng(1)
    of_block = assumed.text * math.sqrt(BLOCKS / 2)  # of each of two models

    def row(count, shift):
        text = of_block * generator.standard_normal(BLOCKS)
        losses = text + assumed.training * generator.standard_normal((count, 1)) + shift
        return [Result(float(each.mean()), TOKENS, each * TOKENS) for each in losses]

    found = []
    for _ in range(1_200):
        one, base, *more = (
            row(seeds, effect),
            row(base_seeds, 0),
            *(row(3, 0) for _ in range(others)),
        )
        found.append(compare(one, base, pool([one, base, *more])).p < 0.05)
    assert 0.76 < np.mean(found) < 0.84


def test_more_seeds_find_smaller_differences_and_whole_tables_only_larger_ones():
    design = Design(PTB, 9, 1, 3, (3,) + (1,) * 8)
    assumed = Assumption(0.01, 0.006, "")
    least = [smallest_difference(assumed, design.with_seeds(n)) for n in range(1, 11)]
    assert least == sorted(least, reverse=True)
    assert smallest_difference(assumed, design, rows=9) > least[0]
    assert math.isinf(smallest_difference(assumed, Design(PTB, 9, 1, 1, (1,) * 9)))


def test_with_fewer_seeds_the_base_row_keeps_its_own():
    fewer = Design(PTB, 2, 3, 3, (3, 3, 3)).with_seeds(1)
    assert (fewer.seeds, fewer.base_seeds, sorted(fewer.replicates)) == (1, 3, [1, 1, 3])
    assert math.isfinite(smallest_difference(Assumption(0.01, 0.006, ""), fewer))


def test_the_design_is_that_of_the_plan():
    """Rows that share a training count it once; rows are those compared with the base row."""
    plan = make_plan(seeds=(1, 2, 3))
    for design in designs(plan):
        assert (design.rows, design.seeds, design.base_seeds) == (8, 3, 3)
        assert design.replicates == (3,) * 8
        assert design.freedom == 16


def test_each_part_of_a_text_has_its_own_design():
    """A row is compared with a base row that trains on all of the text.

    Its p value is corrected for all rows on the corpus (report.tables.build).
    """
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    suite = plan["suites"][0]
    alone = next(row for row in suite["rows"] if row["row"] == "minus-weight-drop")
    for item in alone["runs"]:
        plan["runs"][item["run"]]["spec"]["train_tokens"] = 8_000
    whole, part = sorted(designs(plan), key=lambda design: design.pool)
    assert (whole.pool, whole.rows, whole.freedom) == (PTB, 8, 14)
    assert part == Design(Pool("ptb", 8_000), 8, 3, 3, (3,))
    assert any(
        each.startswith("ptb, first 8,000 tokens: diff") for each in summary(designs(plan), {})
    )


def test_noise_is_that_of_the_records_or_the_default(tmp_path):
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    assert assumptions(plan, tmp_path) == {}
    assert DEFAULT.source in summary(designs(plan), {})[0]
    write_runs(plan, tmp_path / "runs")
    measured = assumptions(plan, tmp_path)
    found = measured[PTB]
    # tests/synthetic.py multiplies perplexities with 1.01 + 0.006 times a normal variate.
    assert 0.003 < found.training < 0.012
    assert "21 trainings of the existing records" in summary(designs(plan), measured)[0]
    table = power_table(designs(plan), measured)
    assert table["seeds"].tolist() == list(range(1, 11))
    assert (table["one_row"] < table["whole_table"]).all()
    assert (table["base_seeds"][:3] == 3).all(), "the base row keeps its trainings"


def test_the_source_of_the_noise_names_what_is_left_out(tmp_path):
    """If all rows with several seeds went astray, it is the default."""
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    write_runs(plan, tmp_path / "runs")
    for pattern, start, why in (
        ("*minus-weight-drop", "18 trainings of the existing records; ", LeftOut.PROTOCOL),
        ("*", f"{DEFAULT.source}; ", LeftOut.ASTRAY),
    ):
        for path in tmp_path.glob(f"runs/{pattern}/finetune.stream.json"):
            record = json.loads(path.read_text())
            record["protocol"]["vocabulary"] = 10
            path.write_text(json.dumps(record))
        found = assumptions(plan, tmp_path)[PTB].source
        assert found.startswith(start)
        assert f" trainings left out ({words.LEFT_OUT[why]})" in found


def test_records_that_cannot_be_read_are_named_and_not_counted(tmp_path, caplog):
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    write_runs(plan, tmp_path / "runs")
    old = min(tmp_path.glob("runs/*minus-weight-drop/finetune.json"))
    old.write_text(json.dumps(json.loads(old.read_text()) | {"format": 1}))
    found = assumptions(plan, tmp_path)[PTB].source
    assert found.startswith("20 trainings of the existing records")
    (sentence,) = caplog.messages
    assert sentence == (
        f"the noise of training is measured without {old.parent.name}: {old} has format 1; this "
        "version of awd reads 2"
    )


def test_the_sentence_of_a_plan_has_what_one_seed_less_or_more_would_find():
    """The power table has the same numbers; before any record the noise is the default."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",))
    one, two, three = (f"{each:.1f}%" for each in power_table(designs(plan), {})["one_row"][:3])
    assert summary(designs(plan), {}) == [
        f"ptb: differences in perplexity of {two} and more are found with 2 seeds of each row and "
        f"2 of the base row (1 seed: {one}, 3 seeds: {three}), at 80% power; noise of training "
        f"{DEFAULT.training:.1%}, from {DEFAULT.source}."
    ]


def test_one_training_of_each_row_finds_nothing():
    plan = make_plan(corpora=("ptb",))
    (sentence,) = summary(designs(plan), {})
    two = power_table(designs(plan), {})["one_row"][1]
    assert "one training of each row cannot show which differences are noise" in sentence
    assert f"of which 2 find differences in perplexity of {two:.1f}% and more" in sentence


def test_ensembles_alone_on_a_part_of_a_text_are_not_spoken_of():
    """Their noise is not that of trainings, so no number of seeds is known to find anything."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",))
    alone = next(row for row in plan["suites"][0]["rows"] if row["row"] == "minus-weight-drop")
    alone["method"] = "ensemble-2"
    for item in alone["runs"]:
        plan["runs"][item["run"]]["spec"]["train_tokens"] = 8_000
    assert [design.pool for design in designs(plan)] == [PTB]
    assert set(power_table(designs(plan), {})["text"]) == {"ptb"}


def test_the_default_is_near_what_the_committed_records_have():
    results = Path(__file__).parents[3] / "results"
    plan = parts.read(results / "paper")
    found = assumptions(plan, results)[PTB]
    assert DEFAULT.training / 2 < found.training < DEFAULT.training * 1.5
    assert DEFAULT.text / 2 < found.text < DEFAULT.text * 2


def test_other_suites_of_the_scale_share_the_noise(tmp_path):
    """A plan of a suite without records takes the noise of the plan that was written before."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",), scale="small")
    write_runs(plan, tmp_path / "runs")
    parts.add(plan, tmp_path / "small", everything)
    other = make_plan(seeds=(7,), corpora=("ptb",), name="other2020")
    assert assumptions(other, tmp_path) == {}
    together = parts.with_trained(other, tmp_path / "small", everything)
    assert assumptions(together, tmp_path) == assumptions(plan, tmp_path)


def test_trained_seeds_count_beyond_those_that_are_asked_for(tmp_path):
    """More seeds of a row as its own; other suites show the noise, whatever seeds come next."""
    asked = make_plan(seeds=(1,), corpora=("ptb",))
    (alone,) = designs(asked)
    assert (alone.seeds, alone.freedom) == (1, 0)
    parts.add(make_plan(seeds=(1, 2), corpora=("ptb",)), tmp_path, nothing)
    (untrained,) = designs(parts.with_trained(asked, tmp_path, nothing), asked)
    assert untrained == alone
    (own,) = designs(parts.with_trained(asked, tmp_path, everything), asked)
    assert (own.seeds, own.base_seeds, own.replicates, own.others) == (2, 2, (2,) * 8, 0)
    (path,) = tmp_path.glob("plans/*.json")
    path.unlink()
    other = make_plan(seeds=(7, 8, 9), corpora=("ptb", "wikitext-2"), name="other2020")
    for run in other["runs"].values():
        run["spec"]["layers"] = 5
    parts.add(other, tmp_path, everything)
    (shared,) = designs(parts.with_trained(asked, tmp_path, everything), asked)
    assert (shared.pool, shared.seeds, shared.replicates) == (PTB, 1, (1,) * 8)
    assert (shared.others, shared.with_seeds(2).freedom) == (16, 24)
