"""Figures are drawn if what they show has changed, and only then."""

import json
import os
import subprocess
import sys

import matplotlib
import pandas as pd
import pytest
from figure_study import study

from awd.errors import InputError
from awd.report import figure_cache


@pytest.fixture
def inputs(tmp_path):
    found = study(tmp_path / "study", corpora=("ptb",))
    found["suite"]["figures"] = ["schedules", "parameters"]
    return found


@pytest.fixture
def count(monkeypatch):
    """The names of the figures that are drawn; what is written is a word for each input."""
    names = []

    def counted(task, formats):
        names.append(task.name)
        files = {kind: figure_cache._file(task, kind) for kind in formats}
        for kind, path in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{task.digest} {kind}")
        return {kind: figure_cache._sha256(path) for kind, path in files.items()}

    monkeypatch.setattr(figure_cache, "_draw", counted)
    monkeypatch.setattr(figure_cache, "MOST_PROCESSES", 1)
    return names


def tasks(folder, inputs, style=None):
    frames = {name: inputs[name] for name in ("table", "curves", "records")}
    return figure_cache.tasks(folder, inputs["suite"], inputs["scale"], frames, style)


def test_a_date_in_the_environment_is_not_read(tmp_path, inputs, monkeypatch):
    """Figures have none, so that equal figures are equal files."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "no number")
    (path,) = figure_cache.draw(tasks(tmp_path, inputs)[:1], ["pdf"])
    assert path.stat().st_size > 500


def test_nothing_is_drawn_twice(tmp_path, inputs, count):
    paths = figure_cache.draw(tasks(tmp_path, inputs))
    assert count == ["schedules", "parameters"]
    assert [path.name for path in paths[:3]] == [
        f"merity2018-schedules.{k}" for k in figure_cache.FORMATS
    ]
    for path in paths:
        os.utime(path, (1, 1))
    assert figure_cache.draw(tasks(tmp_path, inputs)) == paths
    assert len(count) == 2
    assert all(path.stat().st_mtime > 1 for path in paths), "they count as made now"


@pytest.mark.parametrize("frame", ["table", "curves", "records"])
def test_a_changed_number_is_drawn(tmp_path, inputs, count, frame):
    """Be it the last digit."""
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    column = {"table": "test", "curves": "learning_rate", "records": "perplexity"}[frame]
    changed = inputs[frame].copy()
    changed.loc[0, column] *= 1 + 1e-15
    figure_cache.draw(tasks(tmp_path, inputs | {frame: changed}), ("svg",))
    assert len(count) == 4


def test_a_run_of_another_suite_changes_nothing(tmp_path, inputs, count):
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    more = {}
    for name in ("curves", "records"):
        frame = inputs[name]
        more[name] = pd.concat([frame, frame[:1].assign(run="another-run")])
    figure_cache.draw(tasks(tmp_path, inputs | more), ("svg",))
    assert len(count) == 2


@pytest.mark.parametrize("change", ["label", "base", "scale", "code", "library", "font"])
def test_whatever_else_a_figure_shows_is_an_input(tmp_path, inputs, count, change, monkeypatch):
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    if change == "label":
        inputs["suite"]["rows"][0]["label"] = "another name"
    elif change == "base":
        inputs["suite"]["base"] = "minus-nt-asgd"
    elif change == "scale":
        inputs["scale"] = "paper"
    else:
        figure_cache._surroundings.cache_clear()
        if change == "code":
            (tmp_path / "awd").mkdir()
            (tmp_path / "awd/__init__.py").write_text("# other code")
            monkeypatch.setattr(figure_cache, "package", str(tmp_path / "awd/__init__.py"))
        elif change == "library":
            monkeypatch.setattr(figure_cache.metadata, "version", lambda _: "0")
        else:
            fonts = ["Comic Sans MS"]
            monkeypatch.setattr(matplotlib.font_manager, "get_font_names", lambda: fonts)
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    figure_cache._surroundings.cache_clear()
    assert len(count) == 4


def test_an_edited_style_file_is_an_input(tmp_path, inputs, count):
    style = tmp_path / "my.mplstyle"
    style.write_text("font.size: 8")
    for content, expected in (("font.size: 8", 2), ("font.size: 9", 4), ("font.size: 9", 4)):
        style.write_text(content)
        figure_cache.draw(tasks(tmp_path, inputs, style), ("svg",))
        assert len(count) == expected
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    assert len(count) == 6
    with pytest.raises(InputError, match=r"figure_style: .*absent cannot be read"):
        tasks(tmp_path, inputs, tmp_path / "absent")


def test_a_file_that_was_deleted_or_edited_is_drawn(tmp_path, inputs, count):
    first, *_, last = figure_cache.draw(tasks(tmp_path, inputs), ("png", "svg"))
    before = first.read_bytes()
    last.unlink()
    assert figure_cache.draw(tasks(tmp_path, inputs), ("png",))[0] == first
    assert len(count) == 2, "nobody asked for the other format"
    figure_cache.draw(tasks(tmp_path, inputs), ("png", "svg"))
    assert count[2:] == ["parameters"]
    first.write_bytes(before + b"!")
    figure_cache.draw(tasks(tmp_path, inputs), ("png", "svg"))
    assert count[3:] == ["schedules"]
    assert first.read_bytes() == before


@pytest.mark.parametrize("notes", ["", "[]", "{}", '{"merity2018-schedules": 3}', "\xff"])
def test_damaged_notes_are_no_notes(tmp_path, inputs, count, notes):
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    (tmp_path / figure_cache.DRAWN).write_bytes(notes.encode("latin-1"))
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    assert len(count) == 4
    figure_cache.draw(tasks(tmp_path, inputs), ("svg",))
    assert len(count) == 4


def test_a_file_of_other_inputs_is_not_current(tmp_path, inputs):
    """A figure made anew as png alone leaves the old svg behind, which nobody may be shown."""
    figure_cache.draw(tasks(tmp_path, inputs), ("png", "svg"))
    assert all(
        set(figure_cache.current(task)) == {"png", "svg"} for task in tasks(tmp_path, inputs)
    )
    inputs["suite"]["rows"][0]["label"] = "another name"
    assert not any(figure_cache.current(task) for task in tasks(tmp_path, inputs))
    figure_cache.draw(tasks(tmp_path, inputs), ("png",))
    assert all(set(figure_cache.current(task)) == {"png"} for task in tasks(tmp_path, inputs))


def test_side_by_side_gives_the_same_files(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(figure_cache, "_cores", lambda: 2)
    together = figure_cache.draw(tasks(tmp_path / "together", inputs))
    monkeypatch.setattr(figure_cache, "_cores", lambda: 1)
    alone = figure_cache.draw(tasks(tmp_path / "alone", inputs))
    assert [path.read_bytes() for path in together] == [path.read_bytes() for path in alone]
    assert json.loads((tmp_path / "together" / figure_cache.DRAWN).read_text()) == json.loads(
        (tmp_path / "alone" / figure_cache.DRAWN).read_text()
    )


def test_a_mistake_in_a_style_file_ends_all_with_its_sentence(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(figure_cache, "_cores", lambda: 2)
    style = tmp_path / "my.mplstyle"
    style.write_text("font.sice: 8")
    with pytest.raises(InputError, match=r"line 1: no setting 'font\.sice'; did you mean 'font"):
        figure_cache.draw(tasks(tmp_path, inputs, style))


def test_a_mistake_in_the_style_ends_it_before_a_figure_is_drawn(tmp_path, inputs, count):
    mine = tmp_path / "my.mplstyle"
    mine.write_text("font.family: No Such Face")
    with pytest.raises(InputError, match="no font 'No Such Face'"):
        figure_cache.draw(tasks(tmp_path, inputs, mine))
    assert not count


def test_figures_need_no_torch_and_seaborn_gets_what_is_unused_when_it_is_used():
    code = (
        "import sys; from awd.report import figure_cache as cache; cache._import_figures()\n"
        "assert not {'torch', *cache.UNUSED} & sys.modules.keys()\n"
        "import seaborn; assert seaborn.matrix.hierarchy.linkage([[0.0], [1.0]]).shape == (1, 4)\n"
        "assert seaborn._statistics.gaussian_kde([0, 1])(0.5) > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
