"""Corpora: what is fetched is what was published, what is encoded is what was fetched."""

import bz2
import gzip
import hashlib
import http.server
import io
import json
import lzma
import os
import re
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from awd import corpora
from awd.corpora import archives, builtin, catalogue
from awd.errors import InputError

TEXTS = {"train": b"a b a\n\nc b\n", "valid": b"b d\n" * 7, "test": b"a\na c\n" * 4}
TOKENS = {"train": 8, "valid": 21, "test": 20}
ROOT = Path(corpora.__file__).parents[2]


def folder_of(path: Path, texts: dict[str, bytes] = TEXTS, pattern: str = "{split}.txt") -> Path:
    """Write the three splits into a folder and return it."""
    path.mkdir(parents=True, exist_ok=True)
    for split, text in texts.items():
        (path / pattern.format(split=split)).write_bytes(text)
    return path


def encode(corpus: str, raw: Path, out: Path, **settings) -> dict:
    """Encode a text under the fingerprint that it has."""
    sha256 = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in raw.iterdir()}
    print_ = catalogue.text_fingerprint(corpus, sha256, *settings.values())
    return corpora.encode(corpus, raw, out, fingerprint=print_, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.txt"))}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# encode -------------------------------------------------------------------------------------


def test_encoding_a_tiny_corpus_by_hand(tmp_path):
    """Ids follow first appearance over train, valid, test; each line, blank too, ends in <eos>."""
    raw = folder_of(tmp_path / "raw")
    record = encode("tiny", raw, tmp_path / "out")
    corpus = corpora.load(tmp_path / "out")

    assert corpus.vocabulary == ["a", "b", "<eos>", "c", "d"]
    assert corpus.train.tolist() == [0, 1, 0, 2, 2, 3, 1, 2]
    assert corpus.valid.tolist() == [1, 4, 2] * 7
    assert corpus.test.tolist() == [0, 2, 0, 3, 2] * 4
    assert corpus.train.dtype == np.uint16
    assert (corpus.name, corpus.info) == ("tiny", record)
    assert corpus.fingerprint == corpora.fingerprint("tiny", {"tiny": str(raw)})
    assert record["tokens"] == TOKENS
    assert record["vocabulary"] == 5
    assert record["sha256"]["valid"] == hashlib.sha256(TEXTS["valid"]).hexdigest()
    # d is unseen in train, so one is added to the counts 2 2 3 1 0: b d <eos> have 3 1 4 of 13
    assert record["unseen"]["valid"] == {"types": 1, "tokens": 7, "share": 1 / 3}
    assert record["unseen"]["test"] == {"types": 0, "tokens": 0, "share": 0}
    expected = (13**3 / (3 * 1 * 4)) ** (1 / 3)
    assert record["unigram_perplexity"]["valid"] == pytest.approx(expected, rel=1e-12)


def test_unigram_perplexity_is_not_smoothed_without_need(tmp_path):
    """Where train has every type, the frequencies are plain ones: a and <eos> are 1/2 each."""
    raw = folder_of(tmp_path / "raw", dict.fromkeys(TEXTS, b"a\n" * 10))
    record = encode("tiny", raw, tmp_path / "out")
    assert record["unigram_perplexity"] == {"valid": pytest.approx(2), "test": pytest.approx(2)}


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("last", [b"", None])
def test_line_endings_and_byte_order_mark_do_not_matter(tmp_path, ending, mark, last):
    """Files saved on Windows, or without a last line end, encode to the same ids."""
    texts = {split: mark + text.replace(b"\n", ending) for split, text in TEXTS.items()}
    if last is not None:
        texts = {split: text.removesuffix(ending) for split, text in texts.items()}
    record = encode("tiny", folder_of(tmp_path / "raw", texts), tmp_path / "out")
    assert record["tokens"] == TOKENS
    assert corpora.load(tmp_path / "out").vocabulary == ["a", "b", "<eos>", "c", "d"]


def test_a_large_vocabulary_gets_wider_integers(tmp_path):
    """65,536 types fit in 16 bits; one more do not, and must not wrap round."""
    for types, kind in ((65_536, np.uint16), (65_537, np.int32)):
        words = " ".join(f"w{number}" for number in range(types - 1)).encode()
        raw = folder_of(
            tmp_path / "raw", {**TEXTS, "train": words, "valid": b"w0 " * 19, "test": b"w1 " * 19}
        )
        encode("large", raw, tmp_path / "out")
        corpus = corpora.load(tmp_path / "out")
        assert corpus.train.dtype == kind
        assert corpus.train.tolist() == list(range(types))


@pytest.mark.parametrize("text", [b"", b"\n \n"])
def test_a_split_without_words_is_refused(tmp_path, text):
    """An empty validation file is a mistake, not a perplexity of nan."""
    raw = folder_of(tmp_path / "raw", {**TEXTS, "valid": text})
    with pytest.raises(InputError, match=r"corpus tiny: .*valid\.txt holds no words"):
        encode("tiny", raw, tmp_path / "out")


def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path):
    """The message names file, line and byte, so that the text can be mended."""
    raw = folder_of(tmp_path / "raw", {**TEXTS, "test": b"a\nb caf\xe9\n"})
    with pytest.raises(InputError, match=r"test\.txt, line 2, .*byte 0xe9 at position 6"):
        encode("tiny", raw, tmp_path / "out")


def test_a_missing_raw_split_is_one_sentence(tmp_path):
    """Not a traceback."""
    raw = folder_of(tmp_path / "raw")
    (raw / "test.txt").unlink()
    with pytest.raises(InputError, match=r"cannot read .*test\.txt"):
        corpora.encode("tiny", raw, tmp_path / "out", fingerprint="f" * 64)


def test_published_texts_and_counts_are_enforced(tmp_path, monkeypatch):
    """Another text under the name ptb would make every comparison with the paper void."""
    raw = folder_of(tmp_path / "raw")
    print_ = corpora.fingerprint("ptb")
    with pytest.raises(InputError, match=r"'ptb' changed since it was planned: delete .*raw and"):
        corpora.encode("ptb", raw, tmp_path / "out", fingerprint=print_)
    sha256 = {split: hashlib.sha256(text).hexdigest() for split, text in TEXTS.items()}
    monkeypatch.setitem(catalogue.entries()["ptb"], "sha256", sha256)
    print_ = corpora.fingerprint("ptb")
    with pytest.raises(InputError, match="corpus ptb: the raw text gives vocabulary 5 where 10000"):
        corpora.encode("ptb", raw, tmp_path / "out", fingerprint=print_)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["corpus.json", "vocabulary.txt", "train.npy"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_loading_a_damaged_corpus_is_one_sentence(tmp_path, name, damage):
    """A missing or truncated file is reported, never read as a smaller corpus."""
    raw = folder_of(tmp_path / "raw")
    encode("tiny", raw, tmp_path / "out")
    path = tmp_path / "out" / name
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError):
        corpora.load(tmp_path / "out")


def test_ids_beyond_the_vocabulary_are_noticed(tmp_path):
    """Arrays of one corpus beside the record of another are refused."""
    raw = folder_of(tmp_path / "raw")
    encode("tiny", raw, tmp_path / "out")
    np.save(tmp_path / "out" / "valid.npy", np.array([1, 5, 2], dtype=np.uint16))
    with pytest.raises(InputError, match=r"valid\.npy does not fit"):
        corpora.load(tmp_path / "out")


# rare and unseen words ----------------------------------------------------------------------

RARE = {"train": b"a b a c\na b d\n", "valid": b"a c x\n" * 5, "test": b"b <unk> d e e\n" * 4}


def test_words_rarer_than_the_minimum_count_become_unknown(tmp_path):
    """By hand: of train's words only a and b occur twice; c and d go, and what train lacks."""
    raw = folder_of(tmp_path / "raw", RARE)
    record = encode("mine", raw, tmp_path / "out", minimum_count=2)
    corpus = corpora.load(tmp_path / "out")
    assert corpus.vocabulary == ["a", "b", "<unk>", "<eos>"]
    assert corpus.train.tolist() == [0, 1, 0, 2, 3, 0, 1, 2, 3]
    assert corpus.valid.tolist() == [0, 2, 2, 3] * 5
    assert corpus.test.tolist() == [1, 2, 2, 2, 2, 3] * 4
    assert record["minimum_count"] == 2
    assert record["replaced"] == {
        "train": {"tokens": 2, "share": 2 / 9},
        "valid": {"tokens": 10, "share": 1 / 2},
        "test": {"tokens": 12, "share": 1 / 2},  # not those that were <unk> already
    }
    assert record["vocabulary"] == 4
    assert record["tokens"] == {"train": 9, "valid": 20, "test": 24}
    # no type is unseen in train, so nothing is smoothed: a 3, b 2, <unk> 2, <eos> 2
    expected = (9**4 / (3 * 2 * 2 * 2)) ** (1 / 4)
    assert record["unigram_perplexity"]["valid"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("minimum_count", [1, 2])
def test_words_that_train_lacks_are_counted_before_any_is_replaced(tmp_path, caplog, minimum_count):
    """A model cannot learn them: the record has types, tokens and share, and a log names them."""
    caplog.set_level("WARNING", "awd")
    raw = folder_of(tmp_path / "raw", RARE)
    record = encode("mine", raw, tmp_path / "out", minimum_count=minimum_count)
    assert record["unseen"] == {
        "valid": {"types": 1, "tokens": 5, "share": 1 / 4},
        "test": {"types": 2, "tokens": 12, "share": 1 / 2},
    }
    assert "5 tokens of valid (25.0%) are words that never occur in train" in caplog.text
    assert ("x" in corpora.load(tmp_path / "out").vocabulary) == (minimum_count == 1)


def test_a_minimum_count_of_one_changes_nothing(tmp_path):
    """Neither tokens nor fingerprint, so that trainings done before are found."""
    raw = folder_of(tmp_path / "raw", RARE)
    assert encode("mine", raw, tmp_path / "a") == encode(
        "mine", raw, tmp_path / "b", minimum_count=1
    )
    folders = {"mine": str(raw)}
    assert corpora.fingerprint("mine", folders) == corpora.fingerprint(
        "mine", folders, minimum_count=1
    )
    counts = [corpora.fingerprint("mine", folders, minimum_count=each) for each in (1, 2, 3)]
    assert len(set(counts)) == 3


def test_a_minimum_count_for_whom_it_is_not(tmp_path):
    """Published words are counted as published; and what is no count is refused."""
    with pytest.raises(InputError, match="ptb: minimum_count is for corpora of your own"):
        corpora.fingerprint("ptb", minimum_count=2)
    raw = folder_of(tmp_path / "raw", RARE)
    for count in (0, -1, 1.5, "2", True, None):
        with pytest.raises(InputError, match=r"mine: minimum_count is .*; allowed: 1, 2, \.\.\."):
            encode("mine", raw, tmp_path / "out", minimum_count=count)


# identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("split", corpora.SPLITS)
def test_a_text_that_changed_after_planning_is_not_fetched(tmp_path, split):
    """Its results would be filed under the old text's fingerprint."""
    folder = folder_of(tmp_path / "mine")
    folders = {"mine": str(folder)}
    planned = corpora.fingerprint("mine", folders)
    corpora.fetch("mine", tmp_path / "raw", folders=folders, fingerprint=planned[:8])
    with (folder / f"{split}.txt").open("ab") as file:
        file.write(b"one more line\n")
    sentence = r"the text of corpus 'mine' changed since it was planned: run the command again \("
    with pytest.raises(InputError, match=sentence):
        corpora.fetch("mine", tmp_path / "new", folders=folders, fingerprint=planned)
    assert tree(tmp_path / "new") == []
    assert contents(tmp_path / "raw") == TEXTS


@pytest.mark.parametrize("split", corpora.SPLITS)
def test_a_text_that_changed_after_fetching_is_not_encoded(tmp_path, split):
    """The copy in the results, too, is the planned text or none."""
    raw = folder_of(tmp_path / "raw")
    planned = corpora.fingerprint("mine", {"mine": str(raw)})
    whole = corpora.encode("mine", raw, tmp_path / "out", fingerprint=planned[:8])["fingerprint"]
    assert whole == planned
    with (raw / f"{split}.txt").open("ab") as file:
        file.write(b"\n")
    sentence = rf"'mine' changed since it was planned: delete {raw} and run the command again \("
    with pytest.raises(InputError, match=sentence):
        corpora.encode("mine", raw, tmp_path / "new", fingerprint=planned)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("corpus", ["known-entropy", "python-reference"])
def test_a_made_text_that_was_changed_is_not_encoded(tmp_path, corpus):
    """It is known by what it is made from, so what was made is compared."""
    planned = corpora.fingerprint(corpus)
    corpora.fetch(corpus, tmp_path, fingerprint=planned[:8])
    lines = (tmp_path / "valid.txt").read_text().splitlines(keepends=True)
    (tmp_path / "valid.txt").write_text("".join(sorted(lines)))
    with pytest.raises(InputError, match=f"text of corpus '{corpus}' in .* is not as it was made"):
        corpora.encode(corpus, tmp_path, tmp_path / "new", fingerprint=planned)


def test_another_source_of_a_made_text_is_another_corpus(tmp_path, monkeypatch):
    """Planned by one Python, made by another."""
    planned = corpora.fingerprint("known-entropy")
    monkeypatch.setattr(builtin, "SEED", builtin.SEED + 1)
    with pytest.raises(InputError, match="'known-entropy' changed since it was planned"):
        corpora.fetch("known-entropy", tmp_path, fingerprint=planned)


@pytest.mark.parametrize("planned", ["", "0b84989"])
def test_a_few_digits_are_no_fingerprint(tmp_path, planned):
    """They would agree with many texts."""
    raw = folder_of(tmp_path / "raw")
    print_ = corpora.fingerprint("mine", {"mine": str(raw)})
    with pytest.raises(InputError, match="changed since it was planned"):
        corpora.encode("mine", raw, tmp_path / "out", fingerprint=print_[: len(planned)])


# fingerprint, sizes, names ------------------------------------------------------------------


def test_fingerprints_are_stable():
    """A changed fingerprint retrains everything: the two that can be known are written down."""
    assert corpora.fingerprint("ptb").startswith("0b84989b2a4ff16f")
    assert corpora.fingerprint("wikitext-2").startswith("bc1feb2a152c0cb2")
    prints = [corpora.fingerprint(corpus) for corpus in catalogue.entries()]
    assert prints == [corpora.fingerprint(corpus) for corpus in catalogue.entries()]
    assert len(set(prints)) == len(prints) == 4
    assert all(len(each) == 64 for each in prints)


def test_fingerprint_of_a_folder_follows_its_content(tmp_path):
    """Moving a folder changes nothing; changing, or swapping, its files changes the corpus."""
    here, there = folder_of(tmp_path / "here"), folder_of(tmp_path / "there")
    first = corpora.fingerprint("mine", {"mine": str(here)})
    assert first == corpora.fingerprint("mine", {"mine": str(there)})
    (there / "valid.txt").write_bytes(TEXTS["test"])
    (there / "test.txt").write_bytes(TEXTS["valid"])
    swapped = corpora.fingerprint("mine", {"mine": str(there)})
    (there / "test.txt").write_bytes(TEXTS["valid"] + b"x\n")
    longer = corpora.fingerprint("mine", {"mine": str(there)})
    assert len({first, swapped, longer}) == 3


def test_fingerprint_depends_on_generator_and_encoding(monkeypatch):
    """A generator's parameter or a new meaning of the tokens makes another corpus."""
    before = corpora.fingerprint("known-entropy")
    monkeypatch.setattr(builtin, "SEED", builtin.SEED + 1)
    assert corpora.fingerprint("known-entropy") != before
    before = corpora.fingerprint("ptb")
    monkeypatch.setattr(catalogue, "ENCODING", catalogue.ENCODING + 1)
    assert corpora.fingerprint("ptb") != before


def test_unknown_corpora_and_bad_folders_are_one_sentence(tmp_path):
    """Typing errors in config.yaml are answered with what was meant."""
    with pytest.raises(InputError, match=r"did you mean 'wikitext-2'.*corpus_folders"):
        corpora.fingerprint("wikitext2")
    with pytest.raises(InputError, match="'ptb' is taken"):
        corpora.fingerprint("ptb", {"ptb": str(tmp_path)})
    with pytest.raises(InputError, match="'My_Corpus' cannot name a corpus"):
        corpora.fingerprint("My_Corpus", {"My_Corpus": str(tmp_path)})
    folder = folder_of(tmp_path / "mine", {"train": b"a\n", "valid": b""})
    with pytest.raises(InputError, match=r"has no test\.txt and has an empty valid\.txt"):
        corpora.fingerprint("mine", {"mine": str(folder)})


def test_sizes_known_in_advance():
    """The plan's estimates need counts before anything is fetched."""
    assert corpora.sizes("ptb") == {
        "vocabulary": 10_000,
        "tokens": {"train": 929_589, "valid": 73_760, "test": 82_430},
    }
    assert corpora.sizes("python-reference")["approximate"] is True
    assert corpora.sizes("mine") is None


def test_planning_stays_light():
    """The plan is made at every parse: no numpy, no requests, no help topics for it."""
    code = (
        "import sys; from awd import corpora; from awd.corpora import catalogue; "
        "[corpora.fingerprint(name) for name in catalogue.entries()]; "
        "heavy = {'numpy', 'torch', 'pooch', 'requests', 'pydoc_data.topics'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


# fetch --------------------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch):
    """A corpus known by its checksums, with the sources a test gives it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def publish(*sources: dict) -> None:
        entry = {
            "vocabulary": 5,
            "tokens": TOKENS,
            "sha256": {split: hashlib.sha256(text).hexdigest() for split, text in TEXTS.items()},
            "files": "tiny.{split}.txt",
            "sources": list(sources),
        }
        monkeypatch.setattr(catalogue, "entries", lambda: {"tiny": entry})

    return publish


@pytest.fixture
def serve():
    """Serve a folder on 127.0.0.1 to whatever looks like a browser; return its address."""
    servers = []

    def start(folder: Path) -> str:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def do_GET(self):
                if self.headers["User-Agent"].lower().startswith("mozilla/"):
                    super().do_GET()
                else:
                    self.send_error(403)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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


NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens
MEMBERS = "./pack/data/tiny.{split}.txt"


@pytest.mark.parametrize(
    "layout", ["tiny/tiny.{split}.txt", "tiny.{split}.txt", "tiny/{split}.txt", MEMBERS]
)
@pytest.mark.parametrize("kind", ["folder", "address"])
def test_mirror_layouts(tmp_path, published, serve, layout, kind):
    """A mirror may be a folder or an address, arranged in any of the usual ways."""
    published({"archive": f"{NOWHERE}/pack.tgz", "members": MEMBERS})
    folder, _, pattern = layout.rpartition("/")
    folder_of(tmp_path / "mirror" / folder, pattern=pattern)
    mirror = str(tmp_path / "mirror")
    if kind == "address":
        mirror = serve(tmp_path / "mirror") + "/"
    corpora.fetch("tiny", tmp_path / "raw", mirror=mirror)
    assert contents(tmp_path / "raw") == TEXTS
    assert tree(tmp_path / "raw") == ["test.txt", "train.txt", "valid.txt"]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize("place", ["", "tiny"])
def test_mirror_with_the_archive(tmp_path, published, pack, place):
    """A mirror may also hold the archive as it was published."""
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    folder = tmp_path / "mirror" / place
    folder.mkdir(parents=True)
    pack(folder / "pack")
    corpora.fetch("tiny", tmp_path / "raw", mirror=str(tmp_path / "mirror"))
    assert contents(tmp_path / "raw") == TEXTS


def test_the_server_does_refuse_the_default_user_agent(tmp_path, serve):
    """Otherwise the tests above would not show that a browser's name is sent."""
    import requests

    client = requests.Session()
    client.trust_env = False
    assert client.get(serve(tmp_path), timeout=5).status_code == 403


def test_sources_are_tried_in_order_until_the_checksum_is_right(tmp_path, published, serve, caplog):
    """A wrong file, an absent one and a dead host are passed over, and said to be."""
    wrong = folder_of(tmp_path / "served" / "wrong", {**TEXTS, "valid": b"forged\n"})
    assert wrong.is_dir()
    tar_of(tmp_path / "served" / "pack.tgz")
    address = serve(tmp_path / "served")
    published(
        {"files": NOWHERE + "/{split}.txt"},
        {"files": address + "/absent/{split}.txt"},
        {"files": address + "/wrong/{split}.txt"},
        {"archive": address + "/pack.tgz", "members": MEMBERS},
    )
    corpora.fetch("tiny", tmp_path / "raw")
    assert contents(tmp_path / "raw") == TEXTS
    told = caplog.text
    assert "no connection" in told
    assert "absent/{train,valid,test}.txt: HTTP 404" in told
    assert "wrong sha256 for valid" in told


def test_when_all_fails_one_sentence_names_every_source(tmp_path, published, serve):
    """The user learns what was tried, why it failed and how to use a local copy."""
    address = serve(folder_of(tmp_path / "served", {**TEXTS, "train": b"forged\n"}))
    mirror = folder_of(tmp_path / "mirror" / "tiny", {**TEXTS, "train": b"cut short"})
    published(
        {"files": NOWHERE + "/{split}.txt"},
        {"files": address + "/{split}.txt"},
        {"archive": address + "/gone.zip", "members": MEMBERS},
        {"archive": address + "/train.txt", "members": MEMBERS},
    )
    with pytest.raises(InputError) as caught:
        corpora.fetch("tiny", tmp_path / "raw", mirror=str(mirror.parent))
    sentence = str(caught.value)
    for part in (
        f"mirror {mirror.parent}: {mirror}/{{train,valid,test}}.txt: wrong sha256 for train",
        f"{NOWHERE}/{{train,valid,test}}.txt: no connection",
        f"{address}/{{train,valid,test}}.txt: wrong sha256 for train",
        f"{address}/gone.zip: HTTP 404",
        f"{address}/train.txt: train.txt is not an archive that can be read",
        "tiny.train.txt, tiny.valid.txt, tiny.test.txt in a folder and set `mirror: /that/folder`",
    ):
        assert part in sentence
    assert "\n" not in sentence
    assert tree(tmp_path / "raw") == []


def test_a_silent_host_is_asked_once(tmp_path, published):
    """Behind a firewall each attempt may take many seconds."""
    published({"files": NOWHERE + "/a/{split}"}, {"files": NOWHERE + "/b/{split}"})
    with pytest.raises(InputError, match=r"a/.*: no connection; .*b/.*: no connection, as before"):
        corpora.fetch("tiny", tmp_path / "raw")


def test_a_mirror_that_is_neither_folder_nor_address(tmp_path, published):
    """A typing error in `mirror` must not silently send the user to the internet."""
    published({"files": NOWHERE + "/{split}.txt"})
    with pytest.raises(InputError, match="mirror 'nowhere' is neither a folder nor an address"):
        corpora.fetch("tiny", tmp_path / "raw", mirror="nowhere")


def test_an_interrupted_transfer_is_not_a_file(tmp_path, published):
    """A server that announces more than it sends has failed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"a b")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        published({"files": f"http://127.0.0.1:{server.server_port}/{{split}}"})
        with pytest.raises(InputError, match="connection broken off"):
            corpora.fetch("tiny", tmp_path / "raw")
        server.shutdown()
    assert tree(tmp_path / "raw") == []


def test_a_folder_corpus_is_copied(tmp_path):
    """The user's own text goes through the same door, byte for byte."""
    folder = folder_of(tmp_path / "mine")
    corpora.fetch("mine", tmp_path / "raw", folders={"mine": str(folder)})
    assert contents(tmp_path / "raw") == TEXTS


@pytest.mark.skipif(
    "AWD_MIRROR" not in os.environ,
    reason="set AWD_MIRROR to a folder with ptb and wikitext-2 to check the published counts",
)
@pytest.mark.parametrize(
    ("corpus", "valid", "test"), [("ptb", 687.03, 639.30), ("wikitext-2", 965.09, 911.71)]
)
def test_the_published_corpora(tmp_path, corpus, valid, test):
    """Token counts, vocabulary and unigram perplexity of the real texts."""
    corpora.fetch(corpus, tmp_path / "raw", mirror=os.environ["AWD_MIRROR"])
    record = corpora.encode(
        corpus, tmp_path / "raw", tmp_path, fingerprint=corpora.fingerprint(corpus)
    )
    assert {key: record[key] for key in ("vocabulary", "tokens")} == corpora.sizes(corpus)
    assert record["sha256"] == catalogue.entries()[corpus]["sha256"]
    assert [each["tokens"] for each in record["unseen"].values()] == [0, 0]
    assert record["unigram_perplexity"]["valid"] == pytest.approx(valid, abs=0.005)
    assert record["unigram_perplexity"]["test"] == pytest.approx(test, abs=0.005)


# hostile archives ---------------------------------------------------------------------------


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


# python-reference ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return builtin.python_reference()


def test_python_reference_is_the_same_in_another_process(tmp_path, reference):
    """No order of a set or hash seed enters the text."""
    code = (
        "import sys; from pathlib import Path; from awd import corpora; "
        "corpora.fetch('python-reference', Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert contents(tmp_path) == {split: text.encode() for split, text in reference.items()}


def test_python_reference_splits_by_topic():
    """No topic and no paragraph is in two splits; valid and test are a tenth each, and mixed."""
    from pydoc_data.topics import topics

    paragraphs = builtin.distinct_paragraphs(topics)
    split_topics = builtin.split_topics(paragraphs)
    everything = [name for names in split_topics.values() for name in names]
    assert sorted(everything) == sorted(paragraphs)
    lines = [tuple(line) for lines in paragraphs.values() for line in lines]
    assert len(lines) == len(set(lines))
    sizes = {
        split: sum(len(line) + 1 for name in names for line in paragraphs[name])
        for split, names in split_topics.items()
    }
    for split in ("valid", "test"):
        assert 0.08 < sizes[split] / sum(sizes.values()) < 0.12
        assert len(split_topics[split]) >= 10


def test_python_reference_unknown_words(reference):
    """Types of train occur three times; valid and test have no other types; <unk> stays rare."""
    words = {split: text.split() for split, text in reference.items()}
    types, counts = np.unique(words["train"], return_counts=True)
    assert counts[types != "<unk>"].min() >= 3
    for split in ("valid", "test"):
        assert set(words[split]) <= set(types)
        assert 0.01 < words[split].count("<unk>") / len(words[split]) < 0.15
    assert "<eos>" not in types


def test_python_reference_encodes_to_about_the_announced_size(tmp_path, reference):
    """Plan and cost estimates may rely on sizes() to a few per cent; the version is recorded."""
    raw = folder_of(tmp_path, {split: text.encode() for split, text in reference.items()})
    print_ = corpora.fingerprint("python-reference")
    record = corpora.encode("python-reference", raw, tmp_path, fingerprint=print_)
    expected = corpora.sizes("python-reference")
    assert record["vocabulary"] == pytest.approx(expected["vocabulary"], rel=0.15)
    for split in corpora.SPLITS:
        assert record["tokens"][split] == pytest.approx(expected["tokens"][split], rel=0.25)
    assert record["python"].startswith("3.")
    assert [each["tokens"] for each in record["unseen"].values()] == [0, 0]


def test_repeated_paragraphs_and_rulers_are_dropped():
    """A paragraph wrapped otherwise is the same one; it stays with the first topic."""
    topics = {
        "b": "Names\n*****\n\nA name refers to\nan object.\n\nOnly here.",
        "a": "A name  refers\nto an object.",
        "c": "Names\n=====",
    }
    assert builtin.distinct_paragraphs(topics) == {
        "a": [["a", "name", "refers", "to", "an", "object", "."]],
        "b": [["names"], ["only", "here", "."]],
    }


def test_a_python_without_help_topics_is_told(monkeypatch):
    """Some Linux distributions leave them out of their smallest Python."""
    monkeypatch.setattr(builtin, "TOPICS", "pydoc_data.no_such_module")
    with pytest.raises(InputError, match="python-reference: this Python has no"):
        corpora.fingerprint("python-reference")


# known-entropy ------------------------------------------------------------------------------


def test_known_entropy_floor_can_be_recomputed(tmp_path):
    """From the encoded arrays and the published chain alone, and it agrees with the rate."""
    corpora.fetch("known-entropy", tmp_path / "raw")
    print_ = corpora.fingerprint("known-entropy")
    record = corpora.encode("known-entropy", tmp_path / "raw", tmp_path, fingerprint=print_)
    corpus = corpora.load(tmp_path)
    assert {key: record[key] for key in ("vocabulary", "tokens")} == corpora.sizes("known-entropy")

    symbols, matrix = builtin.known_entropy_chain()
    assert matrix.sum(axis=1) == pytest.approx(np.ones(len(symbols)))
    for split in ("valid", "test"):
        words = [corpus.vocabulary[each] for each in getattr(corpus, split)]
        path = [symbols.index(word) for word in words]
        nats = -np.log([matrix[step] for step in pairwise(path)])
        assert record["entropy"][split]["tokens"] == len(nats)
        assert record["entropy"][split]["nll"] == pytest.approx(nats.sum(), rel=1e-12)
        error = nats.std() / np.sqrt(len(nats))
        assert abs(nats.mean() - record["entropy"]["rate"]) < 4 * error


def test_known_entropy_text_never_changes():
    """Records of other machines are comparable only if the text is the same everywhere."""
    text = "".join(builtin.known_entropy().values()).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "02478976cccfe75a"
    assert b"\n\n" not in text


def test_entropy_rate_of_a_chain_solved_by_hand():
    """Two states that swap with probabilities 1/2 and 1/4: stationary (1/3, 2/3)."""
    matrix = np.array([[0.5, 0.5], [0.25, 0.75]])
    second = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert builtin.entropy_rate(matrix) == pytest.approx(np.log(2) / 3 + second * 2 / 3)


def test_known_entropy_chain_forgets_its_start():
    """Every state leads to every other and without a period, so the rate describes any text."""
    _, matrix = builtin.known_entropy_chain()
    assert (np.linalg.matrix_power(matrix, 50) > 0).all()


def test_a_text_that_the_chain_cannot_make_is_refused():
    """A floor computed for another text would accuse or acquit the wrong model."""
    chain = ["be", "ba", "be", "<eos>"]
    with pytest.raises(InputError, match="other words"):
        builtin.known_entropy_floor(chain[:2], {})
    symbols, matrix = builtin.known_entropy_chain()
    forbidden = np.argwhere(matrix == 0)[0]
    with pytest.raises(InputError, match="valid has a step that the chain forbids"):
        builtin.known_entropy_floor(symbols, {"valid": forbidden})


# a full disk --------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from pathlib import Path
from awd import corpora
from awd.errors import InputError
raw, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
import numpy  # before the limit, which also holds for cached bytecode
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    {call}
except InputError as error:
    print(error)
    sys.exit(7)
"""


def run_limited(call: str, raw: Path, out: Path, limit: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LIMITED.format(call=call), str(raw), str(out), str(limit)]
    command += [corpora.fingerprint("tiny", {"tiny": str(raw)})] if "tiny" in call else []
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("limit", [4_000, 50_000])
def test_a_full_disk_leaves_no_half_fetched_text(tmp_path, limit):
    """The operating system refuses a write; no split appears, not even those that fitted."""
    call = "corpora.fetch('known-entropy', out)"
    done = run_limited(call, tmp_path, tmp_path / "out", limit)
    assert done.returncode == 7, done.stderr
    assert f"cannot write {tmp_path / 'out'}" in done.stdout
    assert tree(tmp_path / "out") == []


@pytest.mark.parametrize("limit", [1_000, 30_000, 140_000])
def test_a_full_disk_leaves_no_half_written_array(tmp_path, limit):
    """Whatever is there can be read, no temporary file stays, and no record vouches for it."""
    raw = folder_of(
        tmp_path / "raw",
        {
            "train": "".join(f"word{number:09} " for number in range(12_000)).encode(),
            "valid": b"word000000001 " * 60_000,
            "test": b"word000000001 " * 800,
        },
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "corpus.json").write_text(json.dumps({"corpus": "an earlier one"}))
    call = "corpora.encode('tiny', raw, out, fingerprint=sys.argv[4])"
    done = run_limited(call, raw, out, limit)
    assert done.returncode == 7, done.stderr
    assert f"cannot write {out}" in done.stdout
    assert set(tree(out)) <= {"train.npy", "valid.npy", "test.npy"}
    for path in out.iterdir():
        assert np.load(path).ndim == 1
