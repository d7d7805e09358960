"""Files appear whole or not at all, and what cannot be read is told in one sentence."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from patience import PATIENCE, wait_until
from special_files import SPECIAL

import awd
from awd.errors import InputError, nearest
from awd.files import (
    alone,
    atomic,
    file_sha256,
    is_there,
    new_folder,
    read_bytes,
    read_json,
    read_text,
    readable,
    refuse_broken_link,
    user_path,
    without_byte_order_mark,
    write_json,
    write_text,
)
from awd.runs.checkpoint import Checkpoint

ROOT = Path(awd.__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")  # FIPS 180-4
    with pytest.raises(InputError, match="cannot read"):
        file_sha256(tmp_path / "absent")


def test_a_file_appears_with_its_folder(tmp_path):
    """With nothing beside it."""
    path = tmp_path / "a" / "b" / "record.json"
    write_json(path, {"n": 1})
    assert read_json(path) == {"n": 1}
    assert names(path.parent) == ["record.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    """For records, checkpoints and folders alike; a group can share a folder, or nobody."""
    before = os.umask(umask)
    try:
        write_json(tmp_path / "runs" / "record.json", {})
        write_text(tmp_path / "runs" / "record.json", "again")
        Checkpoint(tmp_path, "a-run", "train").save({"epoch": 1})
    finally:
        os.umask(before)
    for path in (tmp_path / "runs" / "record.json", tmp_path / "a-run" / "train.checkpoint"):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~umask


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to any group")
def test_files_in_a_folder_of_a_group_are_the_groups(tmp_path):
    """The folder has its setgid bit; so have the folders made in it."""
    os.chown(tmp_path, -1, 4242)
    tmp_path.chmod(0o2775)
    write_json(tmp_path / "runs" / "a-run" / "record.json", {})
    for path in tmp_path.rglob("*"):
        assert path.stat().st_gid == 4242


@pytest.mark.parametrize("code", ["EINVAL", "ENOTSUP", "EPERM"])
def test_a_file_system_that_refuses_to_flush(tmp_path, monkeypatch, caplog, code):
    """Files are written nevertheless, with one warning for a folder."""

    def refuse(_):
        raise OSError(getattr(errno, code), "refused")

    monkeypatch.setattr("awd.files.os.fsync", refuse)
    for number in range(3):
        write_json(tmp_path / f"{number}.json", {"n": number})
    assert [read_json(tmp_path / f"{number}.json")["n"] for number in range(3)] == [0, 1, 2]
    assert len(caplog.messages) == 1
    assert f"file system of {tmp_path} cannot flush files" in caplog.text


def test_a_file_system_that_refuses_to_change_permissions(tmp_path, monkeypatch):
    """Nothing needs that."""

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for name in ("chmod", "fchmod", "chown", "utime"):
        monkeypatch.setattr(os, name, refuse)
    write_json(tmp_path / "runs" / "record.json", {"n": 1})
    Checkpoint(tmp_path, "a-run", "train").save({"epoch": 1})
    assert read_json(tmp_path / "runs" / "record.json") == {"n": 1}
    assert Checkpoint(tmp_path, "a-run", "train").load() == {"epoch": 1}


def test_a_flush_that_fails_for_another_reason_is_an_error(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("awd.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        write_json(tmp_path / "record.json", {})
    assert caught.value.filename == str(tmp_path / "record.json")
    assert names(tmp_path) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path):

    def half(made):
        (made / "file").touch()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "made") as made:
        half(made)
    assert names(tmp_path / "a") == []
    with new_folder(tmp_path / "a" / "made") as made:
        (made / "file").touch()
        assert not (tmp_path / "a" / "made").exists()
    assert names(tmp_path / "a" / "made") == ["file"]
    assert names(tmp_path / "a") == ["made"]
    for taken in (tmp_path / "a", tmp_path / "a" / "made" / "file"):
        with pytest.raises(InputError, match="exists: name a new folder"), new_folder(taken):
            pass


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


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, readable])
@pytest.mark.parametrize(("make", "said"), SPECIAL.items())
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, read, make, said):
    """A pipe that nobody writes to would be waited for, and a device read for ever."""
    make(tmp_path / "file")
    with pytest.raises((InputError, OSError), match=said) as caught, read(tmp_path / "file"):
        pass
    assert str(tmp_path / "file") in str(caught.value)


def test_a_home_that_nobody_has(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/texts") == tmp_path / "texts"
    with pytest.raises(InputError, match="~no-such-user/texts: there is no home folder of that"):
        user_path("~no-such-user/texts")


def test_what_may_be_there_is_there(tmp_path, monkeypatch):
    """A link to nowhere, and a file in a folder that is protected; reading gives the error."""
    assert not is_there(tmp_path / "file")
    assert not is_there(tmp_path / "file" / "inside")
    (tmp_path / "link").symlink_to("nowhere")
    assert is_there(tmp_path / "link")

    def refuse(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("awd.files.os.lstat", refuse)
    assert is_there(tmp_path / "file")


def test_a_link_to_nowhere_is_named_with_its_target(tmp_path):
    """Also if it stands for a folder above."""
    refuse_broken_link(tmp_path / "absent" / "results")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    refuse_broken_link(tmp_path / "link" / "results")
    (tmp_path / "there").rmdir()
    for place in (tmp_path / "link", tmp_path / "link" / "results"):
        with pytest.raises(InputError, match=f"^here: {tmp_path}/link is a link to there, which"):
            refuse_broken_link(place, "here: ")


def test_a_byte_order_mark_is_left_out_where_it_begins_a_file(tmp_path):
    assert without_byte_order_mark("\ufeffa\ufeff".encode()) == "a\ufeff".encode()
    assert without_byte_order_mark(b"") == b""
    (tmp_path / "record.json").write_bytes('\ufeff{"é": 1}'.encode())
    assert read_json(tmp_path / "record.json") == {"é": 1}


def test_a_link_to_a_regular_file_is_one(tmp_path):
    write_text(tmp_path / "there", "text")
    (tmp_path / "file").symlink_to("there")
    assert read_text(tmp_path / "file") == "text"


def test_the_nearest_word_is_offered_or_all():
    """A typing error is answered with what was probably meant."""
    assert nearest("hiden_size", ["hidden_size", "layers"]) == "did you mean 'hidden_size'?"
    assert nearest("xyz", ["b", "a"]) == "allowed: a, b"
    assert nearest(3, ["b", "a"]) == "allowed: a, b"


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path, caplog):
    """A second one waits, and learns that it did; another folder is free."""
    waited = []

    def second():
        with alone(tmp_path / "run") as had_to_wait:
            waited.append(had_to_wait)

    with alone(tmp_path / "run") as first:
        other = threading.Thread(target=second)
        other.start()
        with alone(tmp_path / "another") as another:
            wait_until(lambda: "waiting for it" in caplog.text)
            assert (first, another, waited) == (False, False, [])
    other.join(PATIENCE)
    assert waited == [True]


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    """Some of clusters are; work goes on there, and says what to look out for."""

    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("awd.files.fcntl.flock", refuse)
    with alone(tmp_path) as waited:
        assert not waited
    assert "cannot be locked (Function not implemented)" in caplog.text
