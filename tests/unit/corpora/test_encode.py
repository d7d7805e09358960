"""What is encoded is what was fetched."""

import hashlib
import json
import os

import numpy as np
import pytest
from small_texts import TEXTS, TOKENS, encode, folder_of

from awd import corpora
from awd.corpora import catalogue
from awd.errors import InputError
from awd.vocabulary import Split


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
    advice = None if name == "corpus.json" else "delete .*out to encode the text again"
    with pytest.raises(InputError, match=advice):
        corpora.load(tmp_path / "out")


def test_ids_beyond_the_vocabulary_are_noticed(tmp_path):
    """Arrays of one corpus beside the record of another are refused."""
    raw = folder_of(tmp_path / "raw")
    encode("tiny", raw, tmp_path / "out")
    np.save(tmp_path / "out" / "valid.npy", np.array([1, 5, 2], dtype=np.uint16))
    with pytest.raises(InputError, match=r"valid\.npy does not fit .*: delete .*out"):
        corpora.load(tmp_path / "out")


def reversed_text(path):
    np.save(path, np.load(path)[::-1].copy())


def one_other_word(path):
    ids = np.load(path)
    ids[0] = ids[1]
    np.save(path, ids)


def renamed_word(path):
    path.write_text("x" + path.read_text())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((f"{split}.npy", reversed_text) for split in Split),
        ("test.npy", one_other_word),
        ("vocabulary.txt", renamed_word),
    ],
)
def test_a_corpus_changed_after_it_was_encoded_is_not_read(tmp_path, name, change):
    """Its results would be filed under the fingerprint of the text that was encoded."""
    encode("tiny", folder_of(tmp_path / "raw"), tmp_path / "out")
    corpora.load(tmp_path / "out")
    change(tmp_path / "out" / name)
    with pytest.raises(InputError, match=f"{name} was changed after it was encoded: delete .*out"):
        corpora.load(tmp_path / "out")


@pytest.mark.parametrize("number", [2, 4, None, "3"])
def test_a_corpus_of_another_version_is_not_read(tmp_path, number):
    encode("tiny", folder_of(tmp_path / "raw"), tmp_path / "out")
    record = json.loads((tmp_path / "out/corpus.json").read_text())
    (tmp_path / "out/corpus.json").write_text(json.dumps(record | {"format": number}))
    with pytest.raises(InputError, match=f"has format {number!r}; this version of awd reads 3: de"):
        corpora.load(tmp_path / "out")


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


@pytest.mark.parametrize("minimum_count", [1, 2, 3])
@pytest.mark.parametrize("extra", ["", "<unk> rare <unk>\n"])
def test_counting_a_text_gives_what_encoding_it_gives(tmp_path, minimum_count, extra):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.txt").write_text("a b a b c c d\n" * 2 + "e f f\n" + extra, encoding="utf-8")
    for split in ("valid", "test"):
        (raw / f"{split}.txt").write_text("a b new\n" * 9, encoding="utf-8")
    fingerprint = corpora.fingerprint("mine", {"mine": str(raw)}, minimum_count=minimum_count)
    options = {"fingerprint": fingerprint, "minimum_count": minimum_count}
    record = corpora.encode("mine", raw, tmp_path / "encoded", **options)
    counted = corpora.count("mine", raw, minimum_count)
    assert counted == {key: record[key] for key in ("vocabulary", "tokens")}


def test_a_part_of_the_training_text(corpus):
    """The first tokens, with the vocabulary and the other splits of the whole; never too many."""
    part = corpus.first(100)
    assert part.train.tolist() == corpus.train[:100].tolist()
    assert part.vocabulary == corpus.vocabulary
    assert part.test is corpus.test
    assert corpus.first(0) is corpus
    with pytest.raises(InputError, match="train_tokens: 801 is more than the 800 tokens"):
        corpus.first(801)
