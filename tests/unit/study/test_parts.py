"""What was planned and trained stays in the plan until its user removes it."""

import re
import threading
from pathlib import Path

import pytest
from patience import PATIENCE, wait_until
from synthetic import make_plan

from awd.errors import InputError
from awd.files import read_json, write_json
from awd.study import parts


def rows(folder: Path) -> dict[tuple[str, str, str], list[int]]:
    """The seeds of each suite, corpus and row in the parts of a folder."""
    return {
        (suite["suite"], row["corpus"], row["row"]): [item["seed"] for item in row["runs"]]
        for suite in parts.read(folder)["suites"]
        for row in suite["rows"]
    }


def everything(_run: str) -> bool:
    return True


def nothing(_run: str) -> bool:
    return False


def test_a_plan_with_what_is_trained_is_as_if_it_were_added(tmp_path):
    """But for other suites' runs that are not trained; and nothing is written."""
    many = {"corpora": ("ptb", "wikitext-2"), "seeds": (1, 2, 3)}
    for name in ("one", "two"):
        parts.add(make_plan(name=name, **many), tmp_path, everything)
    asked = make_plan(corpora=("ptb",), seeds=(7,), name="one")
    before = rows(tmp_path)
    found = parts.with_trained(asked, tmp_path, everything)
    assert rows(tmp_path) == before
    parts.add(asked, tmp_path, everything)
    assert found["suites"] == parts.read(tmp_path)["suites"]
    assert found["runs"].keys() == parts.read(tmp_path)["runs"].keys()
    alone = parts.with_trained(asked, tmp_path, nothing)
    assert alone["suites"] == [*asked["suites"], {**alone["suites"][1], "rows": []}]


def test_nothing_is_lost_from_a_demo_to_more_seeds(tmp_path):
    """A demo of all, then one suite, then another corpus, then more seeds, then one seed again."""
    both = make_plan(corpora=("ptb",), name="one")
    more = make_plan(corpora=("ptb",), name="two")
    both = {**both, "suites": both["suites"] + more["suites"], "runs": both["runs"] | more["runs"]}
    seen: dict = {}
    for plan in (
        both,
        make_plan(corpora=("ptb",), name="one"),
        make_plan(corpora=("wikitext-2",), name="one"),
        make_plan(corpora=("ptb",), seeds=(1, 2, 3), name="one"),
        make_plan(corpora=("ptb",), seeds=(1,), name="one"),
        make_plan(corpora=("ptb",), seeds=(7,), name="two"),
    ):
        parts.add(plan, tmp_path, everything)
        found = rows(tmp_path)
        for key, seeds in seen.items():
            assert set(seeds) <= set(found[key])
        seen = found
    assert seen["one", "ptb", "full"] == [1, 2, 3]
    assert seen["one", "wikitext-2", "full"] == [1]
    assert seen["two", "ptb", "full"] == [1, 7]
    runs = parts.read(tmp_path)["runs"]
    needed = {
        item["run"]
        for suite in parts.read(tmp_path)["suites"]
        for row in suite["rows"]
        for item in row["runs"]
    }
    assert needed == runs.keys()


def test_two_commands_that_add_to_a_part_at_once_both_leave_their_rows(
    tmp_path, monkeypatch, caplog
):
    """The second waits while the first is between reading and writing."""
    parts.add(make_plan(corpora=("ptb",), seeds=(1,)), tmp_path, everything)
    plan = make_plan(corpora=("ptb",), seeds=(3,))
    second = threading.Thread(target=parts.add, args=(plan, tmp_path, everything))
    read = parts.read_part

    def read_slowly(path):
        part = read(path)
        if second.ident is None:
            second.start()
            wait_until(lambda: "waiting for it" in caplog.text or not second.is_alive())
        return part

    monkeypatch.setattr(parts, "read_part", read_slowly)
    parts.add(make_plan(corpora=("ptb",), seeds=(2,)), tmp_path, everything)
    second.join(PATIENCE)
    assert {tuple(seeds) for seeds in rows(tmp_path).values()} == {(1, 2, 3)}


def test_a_command_leaves_the_parts_of_other_suites_alone(tmp_path):
    (other,) = parts.add(make_plan(name="other"), tmp_path, everything)
    before = other.read_bytes(), other.stat().st_mtime_ns
    parts.add(make_plan(name="mine", seeds=(1, 2)), tmp_path, everything)
    assert (other.read_bytes(), other.stat().st_mtime_ns) == before


def test_what_was_planned_but_never_trained_does_not_stay(tmp_path):
    """A mistyped corpus or too many seeds, stopped at once, leave no rows without results."""
    parts.add(make_plan(seeds=(1, 2, 3), corpora=("ptb", "wikitext-2")), tmp_path, nothing)
    parts.add(make_plan(seeds=(1,), corpora=("ptb",)), tmp_path, nothing)
    assert {key[1] for key in rows(tmp_path)} == {"ptb"}
    assert set(map(tuple, rows(tmp_path).values())) == {(1,)}
    assert {run["spec"]["seed"] for run in parts.read(tmp_path)["runs"].values()} == {1}


def test_a_row_whose_hyperparameters_changed_does_not_keep_seeds_of_the_old_ones(tmp_path):
    plan = make_plan(seeds=(1, 2), corpora=("ptb",))
    parts.add(plan, tmp_path, everything)
    plan = make_plan(seeds=(1,), corpora=("ptb",))
    changed = next(row for row in plan["suites"][0]["rows"] if row["row"] == "minus-nt-asgd")
    plan["runs"][changed["runs"][0]["run"]]["spec"]["layers"] = 2
    parts.add(plan, tmp_path, everything)
    found = rows(tmp_path)
    assert found["merity2018", "ptb", "minus-nt-asgd"] == [1]
    assert found["merity2018", "ptb", "minus-weight-drop"] == [1, 2]


def test_a_changed_text_of_the_same_name_does_not_keep_seeds_of_the_old_text(tmp_path):
    parts.add(make_plan(seeds=(1, 2), corpora=("ptb",)), tmp_path, everything)
    plan = make_plan(seeds=(1,), corpora=("ptb",))
    for run in plan["runs"].values():
        run["corpus"]["fingerprint"] = "f" * 16
    parts.add(plan, tmp_path, everything)
    assert set(map(tuple, rows(tmp_path).values())) == {(1,)}


def test_the_members_of_an_ensemble_stay_with_its_row(tmp_path):
    """No row names them; they have the hyperparameters of the run that carries the ensemble."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",))
    carrier = plan["suites"][0]["rows"][0]["runs"][1]["run"]
    member = plan["runs"][carrier] | {"spec": plan["runs"][carrier]["spec"] | {"seed": 4}}
    plan["runs"]["member"] = member
    parts.add(plan, tmp_path, everything)
    parts.add(make_plan(seeds=(1,), corpora=("ptb",)), tmp_path, everything)
    assert parts.read(tmp_path)["runs"]["member"] == member


def test_the_order_of_commands_does_not_matter(tmp_path):
    plans = [make_plan(seeds=(1, 2), corpora=("wikitext-2",)), make_plan(corpora=("ptb",))]
    for folder, order in (("a", plans), ("b", plans[::-1])):
        for plan in order:
            parts.add(plan, tmp_path / folder, everything)
    one, two = (read_json(tmp_path / folder / "plans/merity2018.json") for folder in "ab")
    assert one["suites"] == two["suites"]
    assert list(one["runs"].items()) == list(two["runs"].items())


def test_a_damaged_part_is_not_replaced_without_a_word(tmp_path):
    path = parts.part_file(tmp_path, "merity2018")
    write_json(path, {"format": 1})
    with pytest.raises(InputError, match=r"plans/merity2018\.json.*delete the file and give"):
        parts.add(make_plan(), tmp_path, everything)
    assert read_json(path) == {"format": 1}


def test_a_part_whose_row_names_a_run_that_it_lacks_is_refused(tmp_path):
    plan = make_plan()
    plan["runs"].popitem()
    write_json(parts.part_file(tmp_path, "merity2018"), plan)
    with pytest.raises(InputError, match=r"merity2018\.json: runs: 'wikitext-2-.*' is missing"):
        parts.read(tmp_path)


def test_no_parts_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="holds no plan; run a study at this scale first"):
        parts.read(tmp_path / "small")
    with pytest.raises(InputError, match="no scale 'papr'; did you mean 'paper'"):
        parts.read(tmp_path / "papr")


def test_suites_have_the_order_that_is_asked_for_then_their_names(tmp_path):
    for name in ("d", "a", "c", "b"):
        parts.add(make_plan(name=name, corpora=("ptb",)), tmp_path, everything)
    names = [suite["suite"] for suite in parts.read(tmp_path, ["c", "absent", "d"])["suites"]]
    assert names == ["c", "d", "a", "b"]


def test_a_part_of_other_suites_is_refused(tmp_path):
    plan = make_plan(name="one")
    write_json(parts.part_file(tmp_path, "one"), plan | {"suites": []})
    with pytest.raises(InputError, match=r"one\.json: suites must not be empty"):
        parts.read(tmp_path)
    write_json(parts.part_file(tmp_path, "one"), make_plan(name="two"))
    with pytest.raises(InputError, match=r"one\.json is not the plan of suite 'one' alone"):
        parts.add(plan, tmp_path, everything)


@pytest.mark.parametrize("name", ["one (1)", "one2", "another"])
def test_a_copy_of_a_part_is_refused(tmp_path, name):
    """Its rows would be in the table, or in it twice."""
    for path in (parts.part_file(tmp_path, "one"), copy := parts.part_file(tmp_path, name)):
        write_json(path, make_plan(name="one"))
    with pytest.raises(InputError, match=f"suite 'one'; delete the copy, {re.escape(str(copy))}$"):
        parts.read(tmp_path)


def test_seeds_of_an_older_version_stay(tmp_path):
    """Its plan lacks a hyperparameter that was added since, whose default is the old behaviour."""
    parts.add(make_plan(corpora=("ptb",), seeds=(1, 2), name="one"), tmp_path, everything)
    newer = make_plan(corpora=("ptb",), seeds=(1,), name="one")
    for run in newer["runs"].values():
        run["spec"]["train_tokens"] = 0
    parts.add(newer, tmp_path, everything)
    assert rows(tmp_path)["one", "ptb", "full"] == [1, 2]
    for run in newer["runs"].values():
        run["spec"]["train_tokens"] = 1000
    parts.add(newer, tmp_path, everything)
    assert rows(tmp_path)["one", "ptb", "full"] == [1]
