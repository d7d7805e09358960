"""Draw the progress of trainings as bars on a terminal, a line for each.

Where a line has no room, the names shorten. What is written behind a bar stays.
"""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

ROOMY = 120
"""Columns of a terminal from which on there is room for wide bars and for the speed."""
WIDE, NARROW = 20, 8
"""Columns of a bar."""


class _Name:
    """A name that loses its middle where it has no room; its end tells runs apart."""

    def __init__(self, name: str):
        self.name = name

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, len(self.name))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shortened(self.name, options.max_width), no_wrap=True)


class _NameColumn(ProgressColumn):
    def render(self, task: Task) -> _Name:
        return _Name(task.description)


def bars(console: Console) -> Progress:
    """Return an empty set of bars; a task has ``words`` that follow its bar."""
    width = WIDE if console.width >= ROOMY else NARROW
    return Progress(
        _NameColumn(),
        BarColumn(width, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[words]}"),
        console=console,
        transient=True,
    )


def shortened(name: str, width: int) -> str:
    """Return ``name`` in at most ``width`` letters: its beginning, an ellipsis, its end."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[len(name) - end :]}"
