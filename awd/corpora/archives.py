"""Wanted members out of a tar or zip file that somebody else packed.

Nothing an archive says decides where a byte is written: the caller names the target of each
wanted member. An archive that tries to say otherwise, by an absolute path, a ``..``, a link or a
device, is refused as a whole, and so is one that unpacks to more than ``LIMIT``.
"""

import gzip
import lzma
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from awd.errors import InputError

LIMIT = 1 << 30  # bytes an archive may hold once unpacked
MEMBERS = 100_000  # and members
CHUNK = 1 << 16

# What a damaged archive can make the standard library raise.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def extract(archive: Path, wanted: Mapping[str, Path]) -> list[str]:
    """Write the ``wanted`` members (name -> target file) of ``archive``, a zip, tar or tgz file.

    Returns the names that were found. Raises InputError, naming the member, if the archive holds
    anything but plain files and folders below its own root or is too large, and if it is damaged;
    targets written by then hold nothing that was checked. Raises OSError if a target cannot be
    written.
    """
    targets = {posixpath.normpath(name): (name, target) for name, target in wanted.items()}
    found = []
    with _damage(archive):
        zipped = zipfile.is_zipfile(archive)
    members = _zip_members if zipped else _tar_members
    walk = members(archive, set(targets))
    while True:
        with _damage(archive):
            step = next(walk, None)
        if step is None:
            return found
        path, stream = step
        name, target = targets.pop(path, (None, None))
        if target is None:  # the second of two members with one name: the first counts
            continue
        with target.open("wb") as out:
            for chunk in _chunks(archive, path, stream):
                out.write(chunk)
        found.append(name)


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise InputError(f"{archive.name} is not an archive that can be read: {error}") from error


def _chunks(archive: Path, path: str, stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the member's bytes; what its header declared is not relied on."""
    total = 0
    while True:
        with _damage(archive):
            chunk = stream.read(CHUNK)
        if not chunk:
            return
        total += len(chunk)
        if total > LIMIT:
            raise InputError(f"{archive.name}: member '{path}' is larger than {LIMIT:,} bytes")
        yield chunk


def _check(archive: Path, name: str, kind: str | None, size: int) -> None:
    """Refuse a member by its name, its kind (None: plain file or folder) or its size."""
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or re.match("[A-Za-z]:", name) or ".." in parts:
        kind = "a path outside the archive"
    if kind is not None:
        raise InputError(f"{archive.name} is refused: member '{name}' is {kind}")
    if not 0 <= size <= LIMIT:
        raise InputError(
            f"{archive.name} is refused: with member '{name}' it unpacks to more than "
            f"{LIMIT:,} bytes"
        )


def _zip_members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        if len(members) > MEMBERS:
            raise InputError(f"{archive.name} is refused: it has more than {MEMBERS:,} members")
        total = 0
        for member in members:
            # A zip keeps the Unix mode, if any, in the upper half of its attributes.
            mode = stat.S_IFMT(member.external_attr >> 16)
            kind = None
            if stat.S_ISLNK(mode):
                kind = "a link"
            elif mode and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                kind = "a device or other special file"
            total += member.file_size
            # the name as stored: zipfile cuts off what follows a zero byte
            _check(archive, member.orig_filename, kind, total)
        for member in members:
            path = posixpath.normpath(member.filename)
            if path in wanted and not member.is_dir():
                with opened.open(member) as stream:
                    yield path, stream


def _tar_members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as plain:
        compressed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        source = gzip.GzipFile(fileobj=plain) if compressed else plain
        # As a stream, one member after the other, so that no more than LIMIT is ever unpacked.
        capped = _Capped(source, archive)
        with tarfile.open(fileobj=capped, mode="r|") as opened:
            total = 0
            for number, member in enumerate(opened):
                if number >= MEMBERS:
                    raise InputError(
                        f"{archive.name} is refused: it has more than {MEMBERS:,} members"
                    )
                kind = None
                if member.issym() or member.islnk():
                    kind = "a link"
                elif not (member.isreg() or member.isdir()):
                    kind = "a device or other special file"
                total += member.size if member.size >= 0 else LIMIT + 1
                _check(archive, member.name, kind, total)
                path = posixpath.normpath(member.name)
                if path in wanted and member.isreg():
                    yield path, opened.extractfile(member)
        # The checksum of a gzip file comes after the last member.
        while capped.read(CHUNK):
            pass


class _Capped:
    """A readable stream that refuses to yield more than LIMIT bytes and some for headers."""

    def __init__(self, source: IO[bytes], archive: Path) -> None:
        self.source, self.archive, self.left = source, archive, LIMIT + 1024 * MEMBERS

    def read(self, size: int) -> bytes:
        chunk = self.source.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise InputError(
                f"{self.archive.name} is refused: it unpacks to more than {LIMIT:,} bytes"
            )
        return chunk
