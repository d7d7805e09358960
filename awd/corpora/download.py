"""Verified copies of published files, from a mirror first and then from public sources.

A source is anything that may hold a wanted file: an address or a local path, of the file itself
or of an archive around it. Sources are tried in order until every split's sha256 is right.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from awd.corpora.archives import CHUNK, LIMIT, extract
from awd.errors import InputError

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
# Some hosts turn away what does not look like a browser.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class SourceError(Exception):
    """A source did not give the file; the text is the reason, in a few words."""


class AbsentError(SourceError):
    """The source answered and has no such file."""


class UnreachableError(SourceError):
    """The source did not answer, so asking it for another file is no use."""


@dataclass(frozen=True)
class Source:
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
    places = [Source(f"{root}/{name}") for name in dict.fromkeys(files)]
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

        A mirror fails as a whole: a place where there is no file is not worth a word.
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
            if source.members is None:
                self._take_files(source.location)
            else:
                self._take_members(source.location, source.members)
        except UnreachableError:
            self.silent_hosts.add(host)
            raise

    def _take_files(self, location: str) -> None:
        for split in self.missing:
            target = self.folder / f"{split}.download"
            if _save(location.replace("{split}", split), target) != self.sha256[split]:
                raise SourceError(f"wrong sha256 for {split}")
            self.files[split] = target.rename(self.folder / f"{split}.txt")

    def _take_members(self, location: str, members: str) -> None:
        archive = self.folder / location.rpartition("/")[2]
        names = {members.replace("{split}", split): split for split in self.missing}
        _save(location, archive)
        try:
            found = extract(
                archive, {name: self.folder / f"{names[name]}.download" for name in names}
            )
        except InputError as error:
            raise SourceError(str(error)) from error
        finally:
            archive.unlink()
        for name in names:
            if name not in found:
                raise SourceError(f"has no member {name}")
            split = names[name]
            target = self.folder / f"{split}.download"
            with target.open("rb") as stream:
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
            if actual != self.sha256[split]:
                raise SourceError(f"wrong sha256 for its {name}")
            self.files[split] = target.rename(self.folder / f"{split}.txt")


def _save(location: str, target: Path) -> str:
    """Copy an address or a local file to ``target`` and return the sha256 of what came.

    Raises SourceError if it cannot be read, OSError if ``target`` cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with _opened(location) as (chunks, total), target.open("wb") as out:
        for chunk in _with_progress(chunks, total, location):
            size += len(chunk)
            if size > LIMIT:
                raise SourceError(f"larger than {LIMIT:,} bytes")
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _is_address(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


@contextmanager
def _opened(location: str) -> Iterator[tuple[Iterator[bytes], int | None]]:
    """Yield the content in pieces and its size in bytes, None where that is not known."""
    if not _is_address(location):
        path = Path(location)
        try:
            stream, size = path.open("rb"), path.stat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise AbsentError("no such file") from error
        except OSError as error:
            raise SourceError(error.strerror) from error
        with stream:
            yield _file_pieces(stream), size
        return

    import requests

    try:
        response = requests.get(
            location, headers={"User-Agent": USER_AGENT}, stream=True, timeout=TIMEOUT
        )
    except requests.RequestException as error:
        raise UnreachableError(_reason(error)) from error
    with response:
        if response.status_code in (404, 410):
            raise AbsentError(f"HTTP {response.status_code}")
        if response.status_code != 200:
            raise SourceError(f"HTTP {response.status_code}")
        length = response.headers.get("Content-Length", "")
        plain = "Content-Encoding" not in response.headers and length.isdecimal()
        yield _response_pieces(response), int(length) if plain else None


def _file_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except OSError as error:
        raise SourceError(error.strerror) from error


def _response_pieces(response: requests.Response) -> Iterator[bytes]:
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException as error:
        raise UnreachableError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Return a few words for what ``requests`` tells in a paragraph."""
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


def _with_progress(chunks: Iterator[bytes], total: int | None, location: str) -> Iterator[bytes]:
    """Pass the pieces on, with a bar on standard error if that is a terminal."""
    if not sys.stderr.isatty() or not _is_address(location):
        yield from chunks
        return

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(location.rpartition("/")[2], total=total)
        for chunk in chunks:
            progress.advance(task, len(chunk))
            yield chunk
