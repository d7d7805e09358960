"""What is written down twice must say the same."""

from pathlib import Path
from typing import get_args

import yaml

from awd.report.figures import FIGURES
from awd.study.suite import Figure

HOME = Path(__file__).parents[2]


def load(name: str) -> dict:
    return yaml.safe_load((HOME / name).read_text(encoding="utf-8"))


def test_every_requirement_is_pinned_exactly():
    lines = (HOME / "requirements.txt").read_text(encoding="utf-8").split()
    assert "torch==2.13.0" in lines
    assert all(line.count("==") == 1 for line in lines)


def test_the_conda_environment_has_the_same_pins():
    *_, pip = load("workflow/envs/awd.yaml")["dependencies"]
    assert pip["pip"] == (HOME / "requirements.txt").read_text(encoding="utf-8").split()


def test_suites_can_name_the_figures_there_are():
    assert set(get_args(Figure)) == FIGURES.keys()


def test_every_figure_has_a_caption_for_reports():
    captions = {path.stem for path in (HOME / "workflow" / "report" / "figures").glob("*.rst")}
    assert captions == FIGURES.keys()
