"""Files appear whole or not at all, and what cannot be read is told in one sentence."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import awd
from awd.errors import InputError, nearest
from awd.files import alone, atomic, read_json, write_json, write_text

ROOT = Path(awd.__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_folder(tmp_path):
    """Readable by others, and nothing beside it."""
    path = tmp_path / "a" / "b" / "record.json"
    write_json(path, {"n": 1})
    assert read_json(path) == {"n": 1}
    assert names(path.parent) == ["record.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failure_keeps_the_old_file(tmp_path):
    """Whatever goes wrong half-way, the reader sees the old content and no temporary file."""
    path = tmp_path / "record.json"
    write_text(path, "old")

    def half(temporary):
        temporary.write_text("ne")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"), atomic(path) as temporary:
        half(temporary)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["record.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_records_hold_no_nan(tmp_path, value):
    """nan is not JSON, and other programs could not read the record."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "record.json", {"loss": value})
    assert names(tmp_path) == []


FULL_DISK = """
import resource, sys
from awd.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "x" * int(sys.argv[2]))
except OSError as error:
    sys.exit(f"{error.strerror}: {error.filename}")
"""


@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, existing):
    """The system refuses a write; the error names the file that was wanted."""
    path = tmp_path / "record.json"
    if existing:
        path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    answer = subprocess.run([*command, "5000"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr.strip() == f"{os.strerror(27)}: {path}"
    assert names(tmp_path) == (["record.json"] if existing else [])
    assert not existing or path.read_text() == "old"
    assert subprocess.run([*command, "500"], cwd=ROOT).returncode == 0, "a small one still fits"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is not a JSON file"),
        (b'{"a": 1', "is not a JSON file"),
        (b"\xff\xfe", "is not a JSON file"),
        (b"[" * 100_000, "is not a JSON file"),
        (b"[1]", "holds a list where a JSON object is expected"),
        (b"null", "holds a NoneType where"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_sentence(tmp_path, content, said):
    """Missing, cut short, or something else altogether."""
    path = tmp_path / "record.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_nearest_word_is_offered_or_all():
    """A typing error is answered with what was probably meant."""
    assert nearest("hiden_size", ["hidden_size", "layers"]) == "did you mean 'hidden_size'?"
    assert nearest("xyz", ["b", "a"]) == "allowed: a, b"
    assert nearest(3, ["b", "a"]) == "allowed: a, b"


def test_a_folder_is_one_processs_at_a_time(tmp_path):
    """Whoever comes second is told that it had to wait; another folder is not concerned."""
    waited = []

    def second():
        with alone(tmp_path / "run") as had_to_wait:
            waited.append(had_to_wait)

    with alone(tmp_path / "run") as first:
        other = threading.Thread(target=second)
        other.start()
        with alone(tmp_path / "another") as another:
            other.join(0.3)
            assert (first, another, waited) == (False, False, [])
    other.join(10)
    assert waited == [True]


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    """Some of clusters are; work goes on there, and says what to look out for."""

    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("awd.files.fcntl.flock", refuse)
    with alone(tmp_path) as waited:
        assert not waited
    assert "cannot be locked (Function not implemented)" in caplog.text
