"""On a narrow terminal the names shorten, and perplexity and time left stay."""

import io

import pytest
from rich.console import Console

from awd.runs.bars import ROOMY, bars, shortened
from awd.runs.progress import describe

NAME = "train ptb-lstm2x1150-nt-asgd-s12-f2a257292c"
STATE = {"epoch": 1000, "epochs": 1000, "fraction": 0.5, "tokens_per_second": 123456.0}
STATE |= {"valid_perplexity": 1234.56, "seconds_left": 350 * 3600.0}


def drawn(width: int, *names: str) -> list[str]:
    """The lines of bars with the longest words."""
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    shown = bars(console)
    for name in names:
        task = shown.add_task(name, total=1.0, words="")
        shown.update(task, completed=0.5, words=describe(STATE, speed=width >= ROOMY))
    console.print(shown.get_renderable())
    return output.getvalue().splitlines()


@pytest.mark.parametrize("width", [70, 80, 100, 119, 120, 140, 200])
def test_perplexity_and_time_left_survive(width):
    (line,) = drawn(width, NAME)
    assert len(line) <= width
    assert "epoch 1000/1000" in line
    assert "valid perplexity 1,234.56" in line
    assert line.rstrip().endswith("350 h left")
    assert ("tokens/s" in line) == (width >= 120)
    assert line.startswith("train p" if width >= 80 else "tr")


def test_the_name_shortens_before_the_bar():
    """In its middle: the end of a run's name is unlike that of any other."""
    wide, narrow, narrower = (drawn(width, NAME)[0] for width in (200, 90, 80))
    assert wide.startswith(NAME)
    name, _, _ = narrow.partition(" ━")
    assert name == "train ptb-lst…2-f2a257292c"
    sizes = [sum(map(line.count, "━╸╺")) for line in (wide, narrow, narrower)]
    assert sizes == [10, 4, 4], "without colours a bar shows what is done, here half of it"


def test_all_names_have_the_same_room():
    first, second = drawn(80, NAME, "train ptb-gru")
    assert first.index("epoch") == second.index("epoch")


@pytest.mark.parametrize(
    ("width", "text"),
    [(9, "abcdefghi"), (10, "abcdefghi"), (8, "abcd…ghi"), (7, "abc…ghi"), (2, "a…"), (1, "…")],
)
def test_a_name_loses_its_middle(width, text):
    assert shortened("abcdefghi", width) == text
