"""Imports between rooms go one way, and no modules import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import awd

PACKAGE = Path(awd.__file__).parent
FOUNDATION = ("errors", "files", "places", "vocabulary")
ROOMS = (
    *("machine", "corpora", "study", "model", "runs", "evaluation", "training"),
    *("report", "cli", "__main__"),
)
"""From the lowest to the highest."""
CLOSED = {"report": {"model", "evaluation", "training"}}
"""Rooms that a room may not enter although they lie below it."""

MODULES = {
    ".".join(["awd", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
        ".__init__"
    ): path
    for path in PACKAGE.rglob("*.py")
}


def imports(module: str) -> set[str]:
    """The modules of awd that ``module`` imports anywhere, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
    return found & MODULES.keys() - {module}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_rooms_below_its_own(module):
    here = room(module)
    if here in ("", *FOUNDATION):
        allowed = {"", *FOUNDATION}
    else:
        below = ROOMS[: ROOMS.index(here) + 1]
        allowed = {"", *FOUNDATION, *below} - CLOSED.get(here, set())
    assert {room(each) for each in imports(module)} <= allowed


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({module: imports(module) for module in MODULES}).prepare()


def test_every_module_has_a_room_and_the_top_has_only_doors_and_foundations():
    top = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert top == {"__init__", *FOUNDATION, *ROOMS} & top
