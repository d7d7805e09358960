"""Imports between rooms go one way, without a circle; each module has its test file."""

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

TESTS = Path(__file__).parent
INNER_ROOMS = {"tables": "table", "figures": "figure", "page": "page"}
"""Rooms within report, and what the names of their test files begin with."""


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


def file_of_tests(path: Path) -> Path:
    """The test file of a module: awd/ROOM/NAME.py -> tests/unit/ROOM/test_NAME.py."""
    *folders, _ = path.relative_to(PACKAGE).parts
    if folders == ["cli"]:
        return TESTS / "test_cli.py"  # the door is tested as a whole
    name = path.stem
    if folders[-1:] and folders[-1] in INNER_ROOMS:
        name = f"{INNER_ROOMS[folders.pop()]}_{name}"
    return TESTS.joinpath(*folders, f"test_{name}.py")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_has_a_test_file_of_its_name_that_imports_its_room(module):
    """Except faces and doors: they have no logic."""
    path = MODULES[module]
    if path.stem in ("__init__", "__main__"):
        return
    text = file_of_tests(path).read_text(encoding="utf-8")
    assert "def test_" in text
    assert f"awd.{room(module)}" in text or "from awd import" in text
