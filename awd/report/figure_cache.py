"""Draw the figures of a report: side by side, and only those whose inputs have changed.

Beside the figures lies DRAWN, which has a digest of what each was drawn from and the SHA-256 of its
files. A file is current if both are as noted; all others are drawn again.
"""

import gc
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from awd import __file__ as package
from awd.errors import InputError
from awd.files import read_json, users_text, write_json
from awd.report.evaluations import runs_of, trainings_of

FORMATS = ("png", "pdf", "svg")
DRAWN = ".drawn.json"
LIBRARIES = ("matplotlib", "seaborn", "pandas", "numpy", "scipy")
"""Of which another version may draw otherwise."""
MOST_PROCESSES = 4
UNUSED = {"scipy.stats": "gaussian_kde", "scipy.cluster": "hierarchy"}
"""What seaborn takes from them for densities and trees, of which awd draws none.

They take longer to import than all else that draws.
"""


class Task(NamedTuple):
    """A figure to draw: ``name`` of report.figures.FIGURES, its inputs, and where it goes.

    ``digest`` is that of the inputs, ``style`` a style file or None.
    """

    stem: Path
    name: str
    suite: dict
    scale: str
    frames: dict[str, pd.DataFrame]
    style: Path | None
    digest: str


def tasks(
    folder: Path,
    suite: dict,
    scale: str,
    frames: Mapping[str, pd.DataFrame],
    style: Path | None = None,
) -> list[Task]:
    """Return the figures of a suite as tasks.

    Args:
        folder: of the figures.
        suite: an entry of the plan's ``suites``.
        scale: the plan's.
        frames: ``table``, ``records``, ``curves`` and ``published``, as figures take them.
        style: a style file of matplotlib.

    Raises InputError if the style file cannot be read.
    """
    trained = {run for row in suite["rows"] for run in trainings_of(row)}
    own = dict(frames)
    for name, of_suite in (("records", runs_of(suite)), ("curves", trained)):
        own[name] = own[name][own[name]["run"].isin(of_suite)].reset_index(drop=True)
    common = hashlib.sha256(_surroundings().encode())
    common.update(_style_text(style).encode())
    common.update(json.dumps([suite, scale], sort_keys=True, default=repr).encode())
    for name in sorted(own):
        common.update(f"{name}\0".encode())
        _add(common, own[name])
    found = []
    for name in suite["figures"]:
        digest = common.copy()
        digest.update(name.encode())
        stem = folder / f"{suite['suite']}-{name}"
        found.append(Task(stem, name, suite, scale, own, style, digest.hexdigest()))
    return found


def draw(wanted: Iterable[Task], formats: Collection[str] = FORMATS) -> list[Path]:
    """Draw figures that are not current in ``formats``; return the files of all of them.

    Raises InputError for a mistake in the style file.
    Files that are current get a new time, so that they are newer than what they were made from.
    """
    # What matplotlib would read: a backend of a notebook's shell, and a date, which no figure has.
    os.environ["MPLBACKEND"] = "agg"
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    wanted = list(wanted)
    kinds = [kind for kind in FORMATS if kind in formats]
    stale = [task for task in wanted if not set(kinds) <= current(task).keys()]
    for task in wanted:
        for kind in kinds if task not in stale else ():
            _file(task, kind).touch()
    if stale:
        _import_figures()
    for style in {task.style for task in stale if task.style}:
        from awd.report.figures.style import read_style

        read_style(style)  # its mistakes end the report before anything is drawn
    processes = min(len(stale), MOST_PROCESSES, _cores())
    if processes > 1 and sys.platform == "linux":
        context = multiprocessing.get_context("fork")
        # Nothing is gained by looking for garbage: the processes end with their figures.
        with ProcessPoolExecutor(processes, context, initializer=gc.disable) as pool:
            digests = list(pool.map(_draw, stale, [kinds] * len(stale)))
    else:
        digests = [_draw(task, kinds) for task in stale]
    for task, files in zip(stale, digests, strict=True):
        _note(task, files)
    return [_file(task, kind) for task in wanted for kind in kinds]


class _Late:
    """A name of a module that is imported when the name is used."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _found(self) -> Any:
        module, name = self._place
        return getattr(import_module(module), name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def __call__(self, *args, **options) -> Any:
        return self._found()(*args, **options)


def _import_figures() -> None:
    """Import what draws, once, before processes are forked; what is UNUSED, when it is used."""
    late = {module: ModuleType(module) for module in UNUSED.keys() - sys.modules.keys()}
    for name, module in late.items():
        setattr(module, UNUSED[name], _Late(name, UNUSED[name]))
    sys.modules.update(late)
    try:
        import awd.report.figures  # noqa: F401
    finally:
        for name in late:
            del sys.modules[name]


def current(task: Task) -> dict[str, Path]:
    """Return the files that show what the task's inputs are now, by format."""
    noted = _notes(task.stem.parent).get(task.stem.name)
    if not isinstance(noted, dict) or noted.get("inputs") != task.digest:
        return {}
    files = noted.get("files")
    return {
        kind: _file(task, kind)
        for kind in FORMATS
        if isinstance(files, dict) and _sha256(_file(task, kind)) == files.get(kind, "")
    }


def _draw(task: Task, formats: Collection[str]) -> dict[str, str]:
    """Draw a figure; return the SHA-256 of its files by format."""
    from awd.report.figures import FIGURES, save  # seaborn, which nothing else needs

    figure = FIGURES[task.name](task.suite, scale=task.scale, style=task.style, **task.frames)
    paths = save(figure, task.stem, formats, task.style)
    return {path.suffix[1:]: str(_sha256(path)) for path in paths}


def _note(task: Task, files: Mapping[str, str]) -> None:
    """Note what was drawn; files of other formats stay noted if their inputs are the same."""
    notes = _notes(task.stem.parent)
    before = notes.get(task.stem.name)
    if isinstance(before, dict) and before.get("inputs") == task.digest:
        files = {**before.get("files", {}), **files}
    notes[task.stem.name] = {"inputs": task.digest, "files": dict(files)}
    write_json(task.stem.parent / DRAWN, dict(sorted(notes.items())))


def _notes(folder: Path) -> dict:
    try:
        return read_json(folder / DRAWN)
    except (InputError, OSError):  # none yet, or damaged: everything is drawn again
        return {}


def _file(task: Task, kind: str) -> Path:
    return Path(f"{task.stem}.{kind}")


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _style_text(style: Path | None) -> str:
    if style is None:
        return ""
    try:
        return users_text(style)
    except InputError as error:
        raise InputError(f"figure_style: {error}") from error


@cache
def _surroundings() -> str:
    """What a figure depends on besides its inputs: the code, the libraries, and the fonts."""
    from matplotlib import font_manager

    digest = hashlib.sha256()
    for path in sorted(Path(package).parent.rglob("*")):
        if path.suffix in (".py", ".mplstyle"):
            digest.update(path.read_bytes())
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    fonts = sorted(set(font_manager.get_font_names()))
    return "\n".join([digest.hexdigest(), *versions, *fonts])


def _add(digest, frame: pd.DataFrame) -> None:
    """Add the names, types and exact values of a frame's columns to a digest."""
    for name, column in frame.items():
        digest.update(f"{name}\0{column.dtype}\0{len(column)}\0".encode())
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
            digest.update(column.to_numpy().tobytes())
        else:
            digest.update(repr(column.tolist()).encode())
