"""A corpus is known by its text, and its folder by the same digits."""

import hashlib
import subprocess
import sys

import pytest
from small_texts import ROOT, TEXTS, contents, folder_of, tree
from special_files import SPECIAL

from awd import corpora
from awd.corpora import catalogue, known_entropy
from awd.errors import InputError
from awd.vocabulary import Split


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


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    ],
    ids=["CRLF", "byte order mark", "both"],
)
def test_the_same_words_from_another_system_keep_their_fingerprint(tmp_path, change):
    """From plan to numbers; that of a text with LF is the one of its bytes, as it always was."""
    raw = folder_of(tmp_path / "raw")
    sha256 = {split: hashlib.sha256(TEXTS[split]).hexdigest() for split in Split}
    expected = catalogue.text_fingerprint("mine", sha256)
    assert corpora.fingerprint("mine", {"mine": str(raw)}) == expected
    other = folder_of(tmp_path / "other", {split: change(text) for split, text in TEXTS.items()})
    assert corpora.fingerprint("mine", {"mine": str(other)}) == expected
    corpora.fetch("mine", tmp_path / "got", folders={"mine": str(other)}, fingerprint=expected)
    records = [
        corpora.encode("mine", folder, tmp_path / folder.name / "out", fingerprint=expected)
        for folder in (raw, tmp_path / "got")
    ]
    assert records[0] == records[1]


@pytest.mark.parametrize("text", [b"b d\r" * 7, b"b d \n" * 7, b"b d\n" * 6 + b"b d"])
def test_texts_that_differ_otherwise_differ(tmp_path, text):
    other = folder_of(tmp_path / "other", TEXTS | {"valid": text})
    raw = folder_of(tmp_path / "raw")
    prints = {corpora.fingerprint("mine", {"mine": str(each)}) for each in (other, raw)}
    assert len(prints) == 2


def test_fingerprint_depends_on_generator_and_encoding(monkeypatch):
    """A generator's parameter or a new meaning of the tokens makes another corpus."""
    before = corpora.fingerprint("known-entropy")
    monkeypatch.setattr(known_entropy, "SEED", known_entropy.SEED + 1)
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
    assert corpora.sizes("mine") is None


def test_planning_stays_light():
    """The plan is made at every parse: no numpy, no requests, no networkx for it."""
    code = (
        "import sys; from awd import corpora; from awd.corpora import catalogue; "
        "[corpora.fingerprint(name) for name in catalogue.entries()]; "
        "heavy = {'numpy', 'torch', 'pooch', 'requests', 'networkx'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize(("make", "said"), SPECIAL.items())
def test_what_is_no_regular_file_is_no_text(tmp_path, split, make, said):
    """The plan names it, where it would wait for a pipe or read a device for ever."""
    folder = folder_of(tmp_path / "mine")
    (folder / f"{split}.txt").unlink()
    make(folder / f"{split}.txt")
    with pytest.raises(InputError, match=rf"cannot read .*{split}\.txt: {said}"):
        corpora.fingerprint("mine", {"mine": str(folder)})


# identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("split", Split)
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


@pytest.mark.parametrize("split", Split)
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


@pytest.mark.parametrize(
    ("corpus", "fault"),
    [
        ("known-entropy", "text of corpus 'known-entropy' in .* is not as it was made"),
        ("networkx-docs", "text of corpus 'networkx-docs' changed since it was planned: delete"),
    ],
)
def test_a_made_text_that_was_changed_is_not_encoded(tmp_path, corpus, fault):
    """One is compared with what is made, the other with its checksums."""
    planned = corpora.fingerprint(corpus)
    corpora.fetch(corpus, tmp_path, fingerprint=planned[:8])
    lines = (tmp_path / "valid.txt").read_text().splitlines(keepends=True)
    (tmp_path / "valid.txt").write_text("".join(sorted(lines)))
    with pytest.raises(InputError, match=fault):
        corpora.encode(corpus, tmp_path, tmp_path / "new", fingerprint=planned)


def test_another_source_of_a_made_text_is_another_corpus(tmp_path, monkeypatch):
    """Planned with one generator, made with another."""
    planned = corpora.fingerprint("known-entropy")
    monkeypatch.setattr(known_entropy, "SEED", known_entropy.SEED + 1)
    with pytest.raises(InputError, match="'known-entropy' changed since it was planned"):
        corpora.fetch("known-entropy", tmp_path, fingerprint=planned)


@pytest.mark.parametrize("planned", ["", "0b84989"])
def test_a_few_digits_are_no_fingerprint(tmp_path, planned):
    """They would agree with many texts."""
    raw = folder_of(tmp_path / "raw")
    print_ = corpora.fingerprint("mine", {"mine": str(raw)})
    with pytest.raises(InputError, match="changed since it was planned"):
        corpora.encode("mine", raw, tmp_path / "out", fingerprint=print_[: len(planned)])
