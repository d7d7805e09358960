"""Small corpora and archives of them, for the tests of this room."""

import io
import tarfile
import zipfile
from pathlib import Path

from awd import corpora
from awd.corpora import catalogue

TEXTS = {"train": b"a b a\n\nc b\n", "valid": b"b d\n" * 7, "test": b"a\na c\n" * 4}
TOKENS = {"train": 8, "valid": 21, "test": 20}
ROOT = Path(corpora.__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens
MEMBERS = "./pack/data/tiny.{split}.txt"


def folder_of(path: Path, texts: dict[str, bytes] = TEXTS, pattern: str = "{split}.txt") -> Path:
    """Write the three splits into a folder and return it."""
    path.mkdir(parents=True, exist_ok=True)
    for split, text in texts.items():
        (path / pattern.format(split=split)).write_bytes(text)
    return path


def encode(corpus: str, raw: Path, out: Path, **settings) -> dict:
    """Encode a text under the fingerprint that it has."""
    own = corpus not in catalogue.entries()
    sha256 = {path.stem: catalogue.text_sha256(path, own=own) for path in raw.iterdir()}
    print_ = catalogue.text_fingerprint(corpus, sha256, *settings.values())
    return corpora.encode(corpus, raw, out, fingerprint=print_, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.txt"))}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def tar_of(path: Path, texts: dict[str, bytes] = TEXTS) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for split, text in texts.items():
            member = tarfile.TarInfo(f"./pack/data/tiny.{split}.txt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


def zip_of(path: Path, texts: dict[str, bytes] = TEXTS) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("pack")
        for split, text in texts.items():
            archive.writestr(f"pack/data/tiny.{split}.txt", text)
    return path
