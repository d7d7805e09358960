"""Put the texts of a corpus into a folder: published ones verified, made ones, the user's own.

Only this module opens the network. pooch downloads and checks. Sources are tried in order, a
mirror first, until the sha256 of every split is right.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from awd.corpora import catalogue, known_entropy, networkx_docs
from awd.corpora.archives import Limited, SourceError, unpack
from awd.errors import InputError
from awd.files import flush, open_regular, readable, user_path
from awd.vocabulary import Split

log = logging.getLogger(__name__)

MADE = {networkx_docs.CORPUS: networkx_docs.texts, known_entropy.CORPUS: known_entropy.texts}
"""Corpora that are not fetched, and what makes the text of each split."""

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
CHUNK = 1 << 16  # bytes
# Some hosts turn away what does not look like a browser.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


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
                sha256 = {
                    split: catalogue.text_sha256(path, own=own is not None)
                    for split, path in files.items()
                }
                catalogue.check_fingerprint(
                    corpus, sha256, fingerprint, minimum_count, remedy="run the command again"
                )
            for path in files.values():
                with path.open("rb+") as stream:
                    flush(stream.fileno(), path)
            for split in Split:
                files[split].replace(destination / f"{split}.txt")


def _copy(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    copies = {split: folder / f"{split}.txt" for split in files}
    for split, path in files.items():
        with readable(path) as stream, copies[split].open("wb") as out:
            shutil.copyfileobj(stream, out)
    return copies


def _make(corpus: str, folder: Path) -> dict[str, Path]:
    files = {}
    for split, text in MADE[corpus]().items():
        files[split] = folder / f"{split}.txt"
        files[split].write_text(text, encoding="utf-8", newline="\n")
    return files


# sources ------------------------------------------------------------------------------------


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
    mirror: str | None = None  # of which it is one place

    @property
    def label(self) -> str:
        """The location as messages name it."""
        return self.location.replace("{split}", "{train,valid,test}")

    @property
    def host(self) -> str | None:
        """Who is asked, None for this machine."""
        return urlsplit(self.location).netloc if _is_address(self.location) else None


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
    root = mirror.rstrip("/") if _is_address(mirror) else str(user_path(mirror))
    if not _is_address(root) and not Path(root).is_dir():
        raise InputError(
            f"mirror '{mirror}' is neither a folder nor an address that starts with http:// or "
            "https://"
        )
    archives = [
        (source.location, source.members) for source in published_sources(entry) if source.members
    ]
    places: list[tuple[str, str | None]] = [
        (f"{corpus}/{entry['files']}", None),
        (entry["files"], None),
    ]
    places += [(f"{corpus}/{{split}}.txt", None)]
    places += [(members.removeprefix("./"), None) for _, members in archives]
    for location, members in archives:
        name = location.rpartition("/")[2]
        places += [(f"{corpus}/{name}", members), (name, members)]
    return [Source(f"{root}/{name}", inside, mirror) for name, inside in dict.fromkeys(places)]


def download(corpus: str, entry: Mapping, folder: Path, mirror: str | None) -> dict[str, Path]:
    """Bring every split of a published corpus into ``folder``, verified, and return the files.

    Raises InputError, naming each source with the reason why it failed, if a split is left
    without a verified file; OSError if ``folder`` cannot be written.
    """
    files: dict[str, Path] = {}
    failures: dict[str, list[str]] = {}
    silent: set[str | None] = set()  # hosts that did not answer are asked once
    sources = mirror_sources(corpus, entry, mirror) if mirror else []
    for source in [*sources, *published_sources(entry)]:
        missing = {split: each for split, each in entry["sha256"].items() if split not in files}
        if not missing:
            break
        if source.mirror and source.host in silent:
            continue
        # A mirror fails as a whole: a place in it where there is no file is no reason.
        reasons = failures.setdefault(f"mirror {mirror}" if source.mirror else source.label, [])
        try:
            if source.host in silent:
                raise UnreachableError("no connection, as before")
            with tempfile.TemporaryDirectory(dir=folder) as name:
                for split, path in _found(source, missing, Path(name)):
                    # A copy has the permissions and the time of a new file.
                    files[split] = Path(shutil.copyfile(path, folder / f"{split}.txt"))
        except SourceError as error:
            if isinstance(error, UnreachableError):
                silent.add(source.host)
            elif source.mirror and isinstance(error, AbsentError):
                continue
            log.warning("not used: %s: %s", source.label, error)
            place = f"{source.label}: " if source.mirror else ""
            reasons.append(f"{place}{error}")
    if len(files) < len(entry["sha256"]):
        names = ", ".join(entry["files"].replace("{split}", split) for split in entry["sha256"])
        tried = [f"{key}: {', '.join(each) or 'no file found'}" for key, each in failures.items()]
        raise InputError(
            f"corpus {corpus}: no source gave all files ({'; '.join(tried)}); to use a local copy, "
            f"put {names} in a folder and set `mirror: /that/folder` in config.yaml"
        )
    return files


def _found(source: Source, missing: Mapping[str, str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each split of ``missing``, split -> sha256, with its verified file in ``folder``."""
    import pooch

    if source.members is None:
        for split, sha256 in missing.items():
            yield split, retrieve(source.location.replace("{split}", split), folder, sha256)
        return
    names = {split: source.members.replace("{split}", split) for split in missing}
    unpacked = unpack(retrieve(source.location, folder), list(names.values()))
    for split, name in names.items():
        if not (unpacked / name).is_file():
            raise SourceError(f"has no member {name}")
        if pooch.file_hash(unpacked / name) != missing[split]:
            raise SourceError(f"wrong sha256 for its {name}")
        yield split, unpacked / name


def retrieve(location: str, folder: Path, sha256: str | None = None) -> Path:
    """Copy an address or a local file into ``folder``, under its own name, and return it.

    Raises SourceError if it cannot be had or is not the file of ``sha256``, OSError if ``folder``
    cannot be written.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    name = location.rpartition("/")[2]
    try:
        return Path(pooch.retrieve(location, sha256, name, folder, downloader=_download))
    except requests.HTTPError as error:
        status = error.response.status_code
        raise (AbsentError if status in (404, 410) else SourceError)(f"HTTP {status}") from error
    except requests.RequestException as error:
        raise UnreachableError(_reason(error)) from error
    except ValueError as error:  # how pooch reports another checksum
        raise SourceError(f"wrong sha256 for {name}") from error


def _download(location: str, target: str, _: object) -> None:
    """Copy for pooch, no more than a limit, and from this machine as well."""
    import pooch
    import requests

    with Path(target).open("wb") as out:
        if not _is_address(location):
            try:
                stream = open_regular(location)
            except OSError as error:
                absent = isinstance(error, FileNotFoundError | NotADirectoryError)
                raise (AbsentError if absent else SourceError)(error.strerror) from error
            with stream:
                shutil.copyfileobj(stream, Limited(out))
            return
        get = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=CHUNK,
            headers={"User-Agent": USER_AGENT},
            timeout=TIMEOUT,
        )
        try:
            get(location, Limited(out), None)
        except requests.RequestException:
            raise
        except ValueError as error:  # such as a length that is no number
            raise SourceError(f"an answer that cannot be read: {error}") from error


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
