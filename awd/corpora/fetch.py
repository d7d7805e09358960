"""Put the texts of a corpus into a folder: published ones verified, made ones, the user's own.

Only this module opens the network. pooch downloads, checks and unpacks. Sources are tried in
order, a mirror first, until the sha256 of every split is right.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from awd.corpora import builtin, catalogue
from awd.corpora.catalogue import SPLITS
from awd.errors import InputError

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
# Some hosts turn away what does not look like a browser.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
LIMIT = 1 << 30  # bytes of a download, and of all that an archive unpacks to
MEMBERS = 100_000  # of an archive
CHUNK = 1 << 16
# What a damaged archive can make the standard library raise, apart from OSError.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
DAMAGE += (RuntimeError, ValueError)
# Failures of this machine's disk, not of an archive.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def fetch(
    corpus: str,
    destination: Path,
    *,
    mirror: str | None = None,
    folders: Mapping[str, str] | None = None,
    fingerprint: str | None = None,
    minimum_count: int = 1,
) -> None:
    """Make train.txt, valid.txt and test.txt in ``destination``: all three, verified, or none.

    A published corpus is looked for in ``mirror`` (a folder or an http(s) address) and then in
    its public sources; a made one is made; a user's own is copied from its folder. What comes must
    have the planned ``fingerprint``, or its first digits, together with ``minimum_count``.

    Raises InputError if the corpus is unknown, if no source has it (naming each and its reason),
    if its fingerprint is another, or if ``destination`` cannot be written.
    """
    folder = catalogue.own_folder(corpus, folders)
    destination = Path(destination)
    own = None if folder is None else catalogue.folder_files(corpus, folder)
    with catalogue.writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination, prefix=".fetch-") as name:
            workplace = Path(name)
            if own is not None:
                files = _copy(own, workplace)
            elif "sources" in catalogue.entries()[corpus]:
                files = download(corpus, catalogue.entries()[corpus], workplace, mirror)
            else:
                files = _make(corpus, workplace)
            if fingerprint is not None:
                sha256 = {split: catalogue.file_sha256(path) for split, path in files.items()}
                catalogue.check_fingerprint(
                    corpus, sha256, fingerprint, minimum_count, remedy="run the command again"
                )
            for path in files.values():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            for split in SPLITS:
                files[split].replace(destination / f"{split}.txt")


def _copy(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    copies = {split: folder / f"{split}.txt" for split in files}
    for split, path in files.items():
        with catalogue.readable(path) as stream, copies[split].open("wb") as out:
            shutil.copyfileobj(stream, out)
    return copies


def _make(corpus: str, folder: Path) -> dict[str, Path]:
    files = {}
    for split, text in builtin.TEXTS[corpus]().items():
        files[split] = folder / f"{split}.txt"
        files[split].write_text(text, encoding="utf-8", newline="\n")
    return files


# sources ------------------------------------------------------------------------------------


class SourceError(Exception):
    """A source did not give the file; the text is the reason, in a few words."""


class AbsentError(SourceError):
    """The source answered and has no such file."""


class UnreachableError(SourceError):
    """The source did not answer, so asking it for another file is no use."""


class Source(NamedTuple):
    """Where to look: ``location`` is an address or path, ``{split}`` in it for single files.

    For an archive, ``members`` is the name of a split's file in it, ``{split}`` included.
    """

    location: str
    members: str | None = None

    @property
    def label(self) -> str:
        """The location as messages name it."""
        return self.location.replace("{split}", "{train,valid,test}")


def published_sources(entry: Mapping) -> list[Source]:
    """Return the public sources of a corpus's entry in corpora.yaml, in their order."""
    return [
        Source(source.get("files") or source["archive"], source.get("members"))
        for source in entry["sources"]
    ]


def mirror_sources(corpus: str, entry: Mapping, mirror: str) -> list[Source]:
    """Return the places in ``mirror``, a folder or http(s) address, where a corpus may lie.

    The usual file names, in a folder named after the corpus or not; ``{split}.txt`` in such a
    folder; what the public archives unpack to; the archives themselves.
    Raises InputError if ``mirror`` is neither a folder nor an address.
    """
    if _is_address(mirror):
        root = mirror.rstrip("/")
    else:
        folder = Path(mirror).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"mirror '{mirror}' is neither a folder nor an address that starts with http:// "
                "or https://"
            )
        root = str(folder)
    archives = [source for source in published_sources(entry) if source.members]
    files = [f"{corpus}/{entry['files']}", entry["files"], f"{corpus}/{{split}}.txt"]
    files += [source.members.removeprefix("./") for source in archives]
    places = [Source(f"{root}/{name}") for name in files]
    for source in archives:
        name = source.location.rpartition("/")[2]
        places += [
            Source(f"{root}/{place}", source.members) for place in (f"{corpus}/{name}", name)
        ]
    return list(dict.fromkeys(places))


def download(
    corpus: str, entry: Mapping, folder: Path, mirror: str | None = None
) -> dict[str, Path]:
    """Bring every split of a published corpus into ``folder``, verified, and return the files.

    Raises InputError, naming each source with the reason why it failed, if a split is left
    without a verified file; OSError if ``folder`` cannot be written.
    """
    search = Search(entry["sha256"], folder)
    if mirror:
        search.in_mirror(mirror, mirror_sources(corpus, entry, mirror))
    for source in published_sources(entry):
        search.at(source)
    if search.missing:
        names = ", ".join(entry["files"].replace("{split}", split) for split in entry["sha256"])
        raise InputError(
            f"corpus {corpus}: no source gave all files ({'; '.join(search.failures)}); to use a "
            f"local copy, put {names} in a folder and set `mirror: /that/folder` in config.yaml"
        )
    return search.files


@dataclass
class Search:
    """What was found so far, and what went wrong."""

    sha256: Mapping[str, str]  # of each wanted split
    folder: Path
    files: dict[str, Path] = field(default_factory=dict)  # verified
    failures: list[str] = field(default_factory=list)
    silent_hosts: set[str] = field(default_factory=set)  # asked once, in vain: not again

    @property
    def missing(self) -> list[str]:
        """The splits still to be found."""
        return [split for split in self.sha256 if split not in self.files]

    def at(self, source: Source) -> None:
        """Take what one public source has of the missing splits."""
        if self.missing:
            try:
                self._take(source)
            except SourceError as error:
                self._failed(f"{source.label}: {error}")

    def in_mirror(self, mirror: str, places: list[Source]) -> None:
        """Take what a mirror has of the missing splits, wherever in it they lie.

        A mirror fails as a whole: a place where there is no file is not reported.
        """
        reasons = []
        for place in places:
            if not self.missing:
                return
            try:
                self._take(place)
            except AbsentError:
                continue
            except UnreachableError as error:
                reasons.append(str(error))
                break
            except SourceError as error:
                reasons.append(f"{place.label}: {error}")
        if self.missing:
            reason = ", ".join(reasons) or f"no file found for {', '.join(self.missing)}"
            self._failed(f"mirror {mirror}: {reason}")

    def _failed(self, reason: str) -> None:
        self.failures.append(reason)
        print(f"awd: not used: {reason}", file=sys.stderr)

    def _take(self, source: Source) -> None:
        host = urlsplit(source.location).netloc if _is_address(source.location) else None
        if host in self.silent_hosts:
            raise UnreachableError("no connection, as before")
        try:
            with tempfile.TemporaryDirectory(dir=self.folder) as name:
                if source.members is None:
                    self._take_files(source.location, Path(name))
                else:
                    self._take_members(source, Path(name))
        except UnreachableError:
            self.silent_hosts.add(host)
            raise

    def _take_files(self, location: str, folder: Path) -> None:
        for split in self.missing:
            try:
                path = retrieve(location.replace("{split}", split), folder, self.sha256[split])
            except ChecksumError as error:
                raise SourceError(f"wrong sha256 for {split}") from error
            self._keep(split, path)

    def _take_members(self, source: Source, folder: Path) -> None:
        names = {split: source.members.replace("{split}", split) for split in self.missing}
        unpacked = unpack(retrieve(source.location, folder), list(names.values()))
        for split, name in names.items():
            path = unpacked / name
            if not path.is_file():
                raise SourceError(f"has no member {name}")
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != self.sha256[split]:
                    raise SourceError(f"wrong sha256 for its {name}")
            self._keep(split, path)

    def _keep(self, split: str, path: Path) -> None:
        # A copy has the permissions and the time of a new file, not those that came with it.
        self.files[split] = Path(shutil.copyfile(path, self.folder / f"{split}.txt"))


# downloads ----------------------------------------------------------------------------------


class ChecksumError(SourceError):
    """The file is not the wanted one."""


def retrieve(location: str, folder: Path, sha256: str | None = None) -> Path:
    """Copy an address or a local file into ``folder``, under its own name, and return it.

    Raises ChecksumError if the file is not that of ``sha256``, SourceError if it cannot be had,
    OSError if ``folder`` cannot be written.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    name = location.rpartition("/")[2]
    try:
        return Path(pooch.retrieve(location, sha256, name, folder, downloader=_copy_to))
    except requests.HTTPError as error:
        status = error.response.status_code
        kind = AbsentError if status in (404, 410) else SourceError
        raise kind(f"HTTP {status}") from error
    except requests.RequestException as error:
        raise UnreachableError(_reason(error)) from error
    except ValueError as error:  # how pooch reports a wrong checksum
        raise ChecksumError("wrong sha256") from error


def _copy_to(location: str, target: str, _: object) -> None:
    """Download for pooch: within LIMIT, and from local files, too."""
    import pooch
    import requests

    with Path(target).open("wb") as out:
        if not _is_address(location):
            with _opened(location) as stream:
                shutil.copyfileobj(stream, _Limited(out))
            return
        get = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=CHUNK,
            headers={"User-Agent": USER_AGENT},
            timeout=TIMEOUT,
        )
        try:
            get(location, _Limited(out), None)
        except requests.RequestException:
            raise
        except ValueError as error:  # such as a length that is no number
            raise SourceError(f"an answer that cannot be read: {error}") from error


def _opened(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AbsentError("no such file") from error
    except OSError as error:
        raise SourceError(error.strerror) from error


class _Limited:
    """A file to be written to that refuses more than LIMIT bytes."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.left, self.flush = out, LIMIT, out.flush

    def write(self, chunk: bytes) -> int:
        self.left -= len(chunk)
        if self.left < 0:
            raise SourceError(f"larger than {LIMIT:,} bytes")
        return self.out.write(chunk)


def _is_address(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


def _reason(error: Exception) -> str:
    """Return a few words for what ``requests`` explains in a paragraph."""
    import requests

    words = {
        requests.exceptions.SSLError: "certificate not accepted",
        requests.Timeout: "no answer in time",
        requests.ConnectionError: "no connection",
        requests.exceptions.ChunkedEncodingError: "connection broken off",
    }
    for kind, reason in words.items():
        if isinstance(error, kind):
            return reason
    return type(error).__name__


# archives -----------------------------------------------------------------------------------


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
    except (*DAMAGE, OSError) as error:
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
                shutil.copyfileobj(stream, _Limited(nowhere))
            except (*DAMAGE, OSError):
                continue
    with tarfile.open(archive) as opened:  # which tries the same compressions, as pooch does
        for member in opened:
            plain = member.isreg() or member.isdir()
            link = member.issym() or member.islnk()
            special = "a link" if link else "a device or other special file"
            yield member.name, None if plain else special, member.size
