"""Read regular files only, write files whole or not at all, and lock folders."""

import codecs
import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

from awd.errors import InputError

log = logging.getLogger(__name__)

UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOLCK}
"""What file systems answer to calls that they do not implement."""
SPECIAL = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What a path may name that is no regular file: opening or reading it may never end."""


def user_path(text: str | os.PathLike) -> Path:
    """Return the path that a user wrote, ``~`` expanded; InputError if nobody has that home."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{text}: there is no home folder of that name") from error


def is_there(path: str | os.PathLike) -> bool:
    """Return whether there is a file, or a link to nowhere, of that name.

    If that cannot be found out, as in a folder that is protected, there may be: whoever reads the
    file then gets the error.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def refuse_broken_link(path: Path, where: str = "") -> None:
    """Raise InputError if ``path`` or a folder above it is a link to what is not there.

    The sentence begins with ``where``.
    """
    for place in (path, *path.parents):
        try:
            place.stat()
        except FileNotFoundError as error:
            if place.is_symlink():
                raise InputError(
                    f"{where}{place} is a link to {place.readlink()}, which is not there: mount or "
                    "make that folder, or remove the link"
                ) from error
        except OSError:  # whoever reads it gets the error
            return


def open_regular(path: str | os.PathLike) -> BufferedReader:
    """Open a regular file for reading bytes.

    Raises OSError, also if ``path`` is a folder, pipe, socket or device.
    """
    path = Path(path)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = SPECIAL.get(stat.S_IFMT(mode), "something else")
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, f"it is {what}, not a regular file", str(path))
    return path.open("rb")


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return the content of a regular file; raises OSError as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a regular file in UTF-8; raises OSError as `open_regular` does."""
    with open_regular(path) as stream, io.TextIOWrapper(stream, encoding="utf-8") as text:
        return text.read()


def without_byte_order_mark(content: bytes) -> bytes:
    """Return ``content``, the beginning of a file in UTF-8, without the mark that editors add."""
    return content.removeprefix(codecs.BOM_UTF8)


def users_text(path: str | os.PathLike) -> str:
    """Return the text of a user's file; InputError if it cannot be read or is not UTF-8."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}") from error


@contextmanager
def readable(path: str | os.PathLike) -> Iterator[BufferedReader]:
    """Open a regular file of bytes; InputError if that fails."""
    try:
        stream = open_regular(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with stream:
        yield stream


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; InputError if it cannot be read."""
    with readable(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` when the block succeeds.

    The content is flushed to disk before the rename, so after a crash the file is either the
    old one or the complete new one. If the block raises, the temporary file is removed. Group and
    permissions are those of any new file in that folder: umask and setgid decide. On a file system
    that refuses to flush, the file is written nevertheless.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _new_file(path)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            flush(written.fileno(), path)
        temporary.replace(path)
    except OSError as error:
        # A full disk names no file.
        error.filename = error.filename or str(path)
        raise
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``path`` when the block succeeds, or else is removed.

    Raises InputError if ``path`` exists and is not an empty folder.
    """
    if is_there(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists: name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
        made = Path(temporary) / path.name  # has the permissions of any new folder
        made.mkdir()
        yield made
        made.replace(path)


def _new_file(path: Path) -> Path:
    """Create an empty file with a new name beside ``path``.

    Not by mkstemp, whose files belong to their user alone, and which would need a chmod that some
    file systems refuse.
    """
    while True:
        temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
        with suppress(FileExistsError):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
            return temporary


def flush(handle: int, path: Path) -> None:
    """Flush an open file, which is to become ``path``, to disk if its file system can do that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise  # as for a full disk
        _warn_once(
            f"the file system of {path.parent.resolve()} cannot flush files ({error.strerror}): "
            "a power failure may cost the newest ones"
        )


@cache
def _warn_once(sentence: str) -> None:
    log.warning("%s", sentence)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Lock ``folder`` for the block, against other processes that lock it so.

    Waits for the lock, and yields whether it had to wait. The kernel releases the lock when the
    process ends, however it ends. Without locks on the file system, warn and go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, waited = os.open(folder, os.O_RDONLY), False
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process works in %s; waiting for it", folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
            waited = True
        except OSError as error:  # some network file systems have no locks
            _warn_once(f"{folder} cannot be locked ({error.strerror}): start no second job there")
        yield waited
    finally:
        os.close(handle)


def half_written(path: Path) -> Iterator[Path]:
    """Return what killed processes left of their attempts to write ``path``."""
    return path.parent.glob(f".{path.stem}-*{path.suffix}")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically; nan and inf are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON object.

    Raises InputError if the file is missing, cannot be read, is not JSON, or holds something else.
    """
    try:
        value = json.loads(without_byte_order_mark(read_bytes(path)).decode("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__} where a JSON object is expected")
    return value
