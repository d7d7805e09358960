"""An archive is unpacked within its folder, or refused."""

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
from pathlib import Path
from random import Random

import pytest
from small_texts import (
    MEMBERS,
    NOWHERE,
    TEXTS,
    tar_of,
    tree,
    zip_of,
)

from awd import corpora
from awd.corpora import archives
from awd.errors import InputError


def hostile_tar(path: Path, name: str, kind: bytes, size: int) -> None:
    tar_of(path)
    content = gzip.decompress(path.read_bytes()).rstrip(b"\0")
    content += b"\0" * (-len(content) % 512)  # without the end mark: one more member follows
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, "../../victim", size
    content += member.tobuf() + b"\0" * 1024
    path.write_bytes(gzip.compress(content))


@pytest.mark.parametrize(
    ("name", "kind", "size", "reason"),
    [
        ("../escaped", tarfile.REGTYPE, 0, "a path outside"),
        ("pack/../../escaped", tarfile.REGTYPE, 0, "a path outside"),
        ("/escaped", tarfile.REGTYPE, 0, "a path outside"),
        ("..\\escaped", tarfile.REGTYPE, 0, "a path outside"),
        ("C:\\escaped", tarfile.REGTYPE, 0, "a path outside"),
        ("pack/link", tarfile.SYMTYPE, 0, "a link"),
        ("pack/link", tarfile.LNKTYPE, 0, "a link"),
        ("pack/data/tiny.train.txt-more", tarfile.SYMTYPE, 0, "a link"),  # pooch goes by prefixes
        ("pack/device", tarfile.BLKTYPE, 0, "a device"),
        ("pack/device", tarfile.CHRTYPE, 0, "a device"),
        ("pack/pipe", tarfile.FIFOTYPE, 0, "a device"),
        ("pack/bomb", tarfile.REGTYPE, (1 << 30) + 1, "unpacks to more than 1,073,741,824 bytes"),
    ],
)
def test_a_hostile_tar_is_refused(tmp_path, published, name, kind, size, reason):
    """The member is named, nothing is written outside, nothing of the archive is used."""
    mirror = tmp_path / "deep" / "mirror"
    mirror.mkdir(parents=True)
    hostile_tar(mirror / "pack.tgz", name, kind, size)
    published({"archive": f"{NOWHERE}/pack.tgz", "members": MEMBERS})
    before = tree(tmp_path)
    with pytest.raises(InputError) as caught:
        corpora.fetch("tiny", tmp_path / "deep" / "raw", mirror=str(mirror))
    assert reason in str(caught.value)
    assert f"member '{name}'" in str(caught.value)
    assert tree(tmp_path) == sorted([*before, "deep/raw"])
    assert not Path("/escaped").exists()


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("../escaped", 0, "a path outside"),
        ("/escaped", 0, "a path outside"),
        ("..\\escaped", 0, "a path outside"),
        ("pack/link", stat.S_IFLNK | 0o777, "a link"),
        ("pack/device", stat.S_IFCHR | 0o666, "a device"),
    ],
)
def test_a_hostile_zip_is_refused(tmp_path, published, name, mode, reason):
    """As for tar; a zip marks links and devices in its Unix attributes."""
    mirror = tmp_path / "deep" / "mirror"
    mirror.mkdir(parents=True)
    with zipfile.ZipFile(zip_of(mirror / "pack.zip"), "a") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, "../../victim")
    published({"archive": f"{NOWHERE}/pack.zip", "members": MEMBERS})
    before = tree(tmp_path)
    with pytest.raises(InputError) as caught:
        corpora.fetch("tiny", tmp_path / "deep" / "raw", mirror=str(mirror))
    assert reason in str(caught.value)
    assert f"member '{name}'" in str(caught.value)
    assert tree(tmp_path) == sorted([*before, "deep/raw"])
    assert not Path("/escaped").exists()


def refused(mirror: Path, raw: Path) -> str:
    """Fetch from a mirror whose one archive is no good; return the sentence."""
    with pytest.raises(InputError) as caught:
        corpora.fetch("tiny", raw, mirror=str(mirror))
    assert tree(raw) == []
    return str(caught.value)


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_many_small_members_are_counted_together(tmp_path, published, monkeypatch, pack):
    """A bomb may be spread over members that are each below the limit."""
    pack(tmp_path / "pack", dict.fromkeys(TEXTS, b"x" * 8_000))
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    monkeypatch.setattr(archives, "LIMIT", 20_000)
    sentence = refused(tmp_path, tmp_path / "raw")
    assert re.search(r"refused: with member '.*tiny\.test\.txt'|larger than 20,000", sentence)


@pytest.mark.parametrize("compression", [gzip, bz2, lzma])
def test_a_header_that_is_a_bomb_is_not_read(tmp_path, published, monkeypatch, compression):
    """A tar's headers have no size in any list of members, and tarfile keeps them in memory."""
    member = tarfile.TarInfo("pack/data/tiny.train.txt")
    member.pax_headers = {"comment": "x" * 300_000}
    (tmp_path / "pack").write_bytes(compression.compress(member.tobuf(tarfile.PAX_FORMAT)))
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    monkeypatch.setattr(archives, "LIMIT", 200_000)
    assert "larger than 200,000 bytes" in refused(tmp_path, tmp_path / "raw")


def test_more_members_than_any_corpus_has(tmp_path, published, monkeypatch):
    """A million empty members take hours to unpack."""
    zip_of(tmp_path / "pack")
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    monkeypatch.setattr(archives, "MEMBERS", 3)
    assert "more than 3 members" in refused(tmp_path, tmp_path / "raw")


def test_a_member_that_is_a_file_and_a_folder(tmp_path, published):
    """Whatever cannot be unpacked is the archive's fault, not the disk's."""
    with tarfile.open(tar_of(tmp_path / "pack"), "w") as archive:
        for name in ("pack/data/tiny.train.txt", "pack/data/tiny.train.txt/inside"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    assert "is not an archive that can be read" in refused(tmp_path, tmp_path / "raw")


def test_permissions_and_times_do_not_come_out_of_an_archive(tmp_path, published):
    """A text of 2010 without any permission is as new and as readable as any other."""
    with tarfile.open(tmp_path / "pack", "w:gz") as archive:
        for split, text in TEXTS.items():
            member = tarfile.TarInfo(f"./pack/data/tiny.{split}.txt")
            member.size, member.mode, member.mtime = len(text), 0o4400, 1_280_000_000
            archive.addfile(member, io.BytesIO(text))
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    usual = tmp_path / "usual"
    usual.touch()
    corpora.fetch("tiny", tmp_path / "raw", mirror=str(tmp_path))
    for path in (tmp_path / "raw").iterdir():
        assert path.stat().st_mode == usual.stat().st_mode
        assert path.stat().st_mtime > 1_700_000_000


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_damaged_archive_is_one_sentence(tmp_path, published, pack):
    """A download cut short, or with a flipped byte, is reported as such."""
    random = Random(1)
    texts = {split: random.randbytes(3000) for split in TEXTS}
    content = pack(tmp_path / "pack", texts).read_bytes()
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    for damaged in (content[: len(content) // 2], content[:2000] + b"!!" + content[2002:], b""):
        (tmp_path / "pack").write_bytes(damaged)
        sentence = refused(tmp_path, tmp_path / "raw")
        assert "pack is not an archive that can be read" in sentence or "wrong sha256" in sentence
