"""plan.json is checked before a report reads it."""

import copy

import pytest
from synthetic import make_plan

from awd.errors import InputError
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.plan_file import check_plan


def test_what_awd_plans_is_a_plan():
    check_plan(Plan(load_config(CONFIG, {"suites": "kim2024"})).as_dict(), "plan.json")


def damaged(change):
    plan = copy.deepcopy(make_plan())
    change(plan)
    return plan


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda plan: plan.update(format=2), "format"),
        (lambda plan: plan.pop("seeds"), "seeds"),
        (lambda plan: plan.update(precision="fp8"), "precision"),
        (lambda plan: plan["runs"].update({"../outside": {}}), "runs"),
        (lambda plan: plan["suites"][0].update(suite="../outside"), "suites"),
        (lambda plan: plan["suites"][0]["rows"][0].pop("corpus"), "corpus"),
        (lambda plan: plan["suites"][0]["rows"][0]["runs"][0].update(seed="one"), "seed"),
        (lambda plan: plan["suites"][0]["rows"][0]["published"][0].update(test=-1.0), "test"),
    ],
)
def test_a_damaged_plan_is_refused_with_the_place(change, place):
    check_plan(make_plan(), "plan.json")
    with pytest.raises(InputError, match=rf"^plan.json: .*{place}") as caught:
        check_plan(damaged(change), "plan.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, [], "plan", 3])
def test_something_else_than_a_plan_is_refused(content):
    with pytest.raises(InputError, match=r"^plan\.json"):
        check_plan(content, "plan.json")
