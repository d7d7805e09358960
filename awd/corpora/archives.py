"""Unpack archives that somebody else packed, without writing anything outside one folder.

pooch unpacks, and trusts what it unpacks, so an archive is looked through first: one with an
absolute path, a ``..``, a link or a device is refused as a whole, and so is one that unpacks to
more than ``LIMIT``.
"""

import bz2
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LIMIT = 1 << 30  # bytes of a download, and of all that an archive unpacks to
MEMBERS = 100_000  # of an archive
# What a damaged archive can make the standard library raise.
DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
# Failures of this machine's disk, not of an archive.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class SourceError(Exception):
    """A source did not give the file; the text is the reason, in a few words."""


class Limited:
    """A file to be written to that refuses more than LIMIT bytes."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.left, self.flush = out, LIMIT, out.flush

    def write(self, chunk: bytes) -> int:
        """Write ``chunk``; SourceError beyond the limit."""
        self.left -= len(chunk)
        if self.left < 0:
            raise SourceError(f"larger than {LIMIT:,} bytes")
        return self.out.write(chunk)


def unpack(archive: Path, members: list[str]) -> Path:
    """Unpack the ``members`` of a zip, tar or tgz file and return the folder beside it.

    Raises SourceError, naming the member, if anything in the archive could be written outside
    that folder, is not a plain file or folder, or is too large, and if the archive is damaged.
    """
    import pooch

    try:
        zipped = zipfile.is_zipfile(archive)
        total = 0
        for number, (name, kind, size) in enumerate((_zip if zipped else _tar)(archive)):
            total += size if size >= 0 else LIMIT + 1
            _check(archive, number, name, kind, total)
        extract = (pooch.Unzip if zipped else pooch.Untar)(members, "unpacked")
        extract(str(archive), "download", None)
    except SourceError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in DISK:
            raise
        raise SourceError(f"{archive.name} is not an archive that can be read: {error}") from error
    return archive.parent / "unpacked"


def _check(archive: Path, number: int, name: str, kind: str | None, total: int) -> None:
    """Refuse a member by its number, its name, its kind (None: plain) or the size so far."""
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or re.match("[A-Za-z]:", name) or ".." in parts:
        kind = "a path outside the archive"
    if kind is not None:
        raise SourceError(f"{archive.name} is refused: member '{name}' is {kind}")
    if number >= MEMBERS:
        raise SourceError(f"{archive.name} is refused: it has more than {MEMBERS:,} members")
    if total > LIMIT:
        raise SourceError(
            f"{archive.name} is refused: with member '{name}' it unpacks to more than "
            f"{LIMIT:,} bytes"
        )


def _zip(archive: Path) -> Iterator[tuple[str, str | None, int]]:
    """Yield the name, the kind and the size of each member."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            # A zip keeps the Unix mode, if any, in the upper half of its attributes.
            mode = stat.S_IFMT(member.external_attr >> 16)
            plain = not mode or stat.S_ISREG(mode) or stat.S_ISDIR(mode)
            special = "a link" if stat.S_ISLNK(mode) else "a device or other special file"
            # the name as stored: zipfile cuts off what follows a zero byte
            yield member.orig_filename, None if plain else special, member.file_size


def _tar(archive: Path) -> Iterator[tuple[str, str | None, int]]:
    """Yield the name, the kind and the size of each member."""
    # A header can be a bomb, too, and its size is declared nowhere.
    for compression in (gzip, bz2, lzma):
        with compression.open(archive) as stream, Path(os.devnull).open("wb") as nowhere:
            try:
                shutil.copyfileobj(stream, Limited(nowhere))
            except DAMAGE:
                continue
    with tarfile.open(archive) as opened:  # which tries the same compressions, as pooch does
        for member in opened:
            plain = member.isreg() or member.isdir()
            link = member.issym() or member.islnk()
            special = "a link" if link else "a device or other special file"
            yield member.name, None if plain else special, member.size
