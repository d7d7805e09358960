"""An overview of a corpus, of text that is short enough to count by hand."""

from pathlib import Path

import pytest

from awd import corpora
from awd.corpora.overview import describe, look, opened
from awd.errors import InputError

TRAIN = "a b a\n\na b c d e a\n" * 2 + "once\n"
HELD_OUT = "a new b\n" + "a\n" * 10


@pytest.fixture
def text(tmp_path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    for split, content in {"train": TRAIN, "valid": HELD_OUT, "test": "a b\n" * 10}.items():
        (folder / f"{split}.txt").write_text(content, encoding="utf-8")
    return folder


def test_every_number_is_what_counting_by_hand_gives(tmp_path, text):
    with opened("mine", tmp_path, {"mine": str(text)}) as corpus:
        overview = look(corpus)
    train, valid, test = (overview.splits[split] for split in ("train", "valid", "test"))
    assert (train.tokens, train.lines) == (26, 7)
    assert (train.longest, train.longest_at) == (6, 3)
    assert (train.unseen, train.share) == (0, 0)
    assert (valid.tokens, valid.lines, valid.longest, valid.longest_at) == (24, 11, 3, 1)
    assert (valid.unseen, valid.share) == (1, 1 / 24)
    assert test.unseen == 0
    assert overview.types == 8, "a b c d e once new <eos>"
    assert overview.once == 1
    assert overview.first == ["a b a", "", "a b c d e a"]


def test_an_encoded_corpus_is_read_and_not_encoded_again(tmp_path, text, monkeypatch):
    folders = {"mine": str(text)}
    fingerprint = corpora.fingerprint("mine", folders)
    place = tmp_path / "corpora" / f"mine-{fingerprint[:8]}"
    corpora.encode("mine", text, place, fingerprint=fingerprint)
    monkeypatch.setattr("awd.corpora.overview.encode", lambda *_, **__: pytest.fail("again"))
    with opened("mine", tmp_path, folders) as corpus:
        assert corpus.fingerprint == fingerprint
        del corpus.info["repeated_lines"]  # as awd 0.2.0 encoded it
        assert look(corpus).repeats == []


def test_a_minimum_count_shows_the_corpus_as_it_would_be_trained(tmp_path, text):
    with opened("mine", tmp_path, {"mine": str(text)}, minimum_count=2) as corpus:
        overview = look(corpus)
    assert overview.types == 7, "a b c d e <unk> <eos>"
    assert overview.unknown == {"train": 1 / 26, "valid": 1 / 24, "test": 0}, "once, new"
    said = describe(overview)
    assert "7 types; words with fewer than 2 occurrences are <unk>\n" in said
    assert "share of <unk>: 3.8% (train), 4.2% (valid), 0.0% (test)\n" in said
    assert "can score only" not in said


def test_unseen_words_are_shown_with_their_share_and_a_remedy(tmp_path, text):
    with opened("mine", tmp_path, {"mine": str(text)}) as corpus:
        said = describe(look(corpus))
    assert "1 (4.2%)" in said
    assert "no <unk> in the text: a model can score only texts of these types" in said
    assert "minimum_count=2" in said
    assert "\n  a b a\n" in said


def test_lines_of_test_that_stand_in_train_are_noted(tmp_path, text):
    with opened("mine", tmp_path, {"mine": str(text)}) as corpus:
        assert "stand in train" not in describe(look(corpus))
    (text / "train.txt").write_text(f"a b c d e a b c\n{TRAIN}", encoding="utf-8")
    (text / "test.txt").write_text(
        "a b c d e a b c\n" * 4 + "e d c b a a a a\n" * 4, encoding="utf-8"
    )
    with opened("mine", tmp_path, {"mine": str(text)}) as corpus:
        said = describe(look(corpus))
    assert "of the lines of 8 words or more, 50.0% (test) also stand in train" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_long_line_is_cut(tmp_path, text):
    (text / "train.txt").write_text("word " * 1000 + "\n" + TRAIN, encoding="utf-8")
    with opened("mine", tmp_path, {"mine": str(text)}) as corpus:
        said = describe(look(corpus))
    assert "1,000 words (line 1)" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_made_corpus_needs_nothing_fetched(tmp_path):
    with opened("known-entropy", tmp_path, {}) as corpus:
        overview = look(corpus)
    assert overview.splits["train"].tokens == 200_050
    assert overview.types == 37


def test_a_published_corpus_that_is_not_here_is_a_sentence_with_its_size(tmp_path):
    with (
        pytest.raises(InputError, match=r"ptb is not here yet.*929,589 \(train\).*fetch ptb"),
        opened("ptb", tmp_path, {}),
    ):
        pass


def test_an_unknown_corpus_is_refused(tmp_path):
    with pytest.raises(InputError, match="did you mean 'ptb'"), opened("pbt", tmp_path, {}):
        pass


def test_what_is_wrong_in_a_text_is_shown_in_the_users_file(tmp_path, text):
    (text / "valid.txt").write_text("a b\n" * 3 + "a <eos> b\n" * 20)
    with (
        pytest.raises(InputError, match=f"{text / 'valid.txt'}, line 4, holds <eos>"),
        opened("mine", tmp_path, {"mine": str(text)}),
    ):
        pass


def test_a_short_text_has_a_warning(tmp_path, text, caplog):
    """When it is looked at and when it is encoded; one that is long enough has none."""
    folders = {"mine": str(text)}
    sentence = "fewer than 1,000 tokens are hardly enough to learn from or to measure on: "
    with opened("mine", tmp_path, folders) as corpus:
        tokens = corpus.info["tokens"]
        listed = ", ".join(f"{split} has {tokens[split]}" for split in tokens)
        assert sentence + listed in " ".join(describe(look(corpus)).split())
    corpora.encode("mine", text, tmp_path / "out", fingerprint=corpora.fingerprint("mine", folders))
    assert f"corpus mine: {sentence}{listed}" in caplog.text
    assert corpora.short_texts("mine", dict.fromkeys(tokens, 1_000)) is None
    assert corpora.short_texts("ptb", tokens) is None, "it is as published"


@pytest.mark.parametrize("copied", ["valid", "test"])
def test_a_split_that_is_a_copy_of_another_is_told(tmp_path, text, caplog, copied):
    """When it is looked at and when it is encoded: its perplexity would look too good."""
    (text / f"{copied}.txt").write_text(TRAIN)
    sentence = f"train.txt and {copied}.txt are the same text"
    folders = {"mine": str(text)}
    with opened("mine", tmp_path, folders) as corpus:
        assert sentence in describe(look(corpus))
    assert sentence not in caplog.text
    fingerprint = corpora.fingerprint("mine", folders)
    corpora.encode("mine", text, tmp_path / "out", fingerprint=fingerprint)
    assert f"corpus mine: {sentence}" in caplog.text
