"""Words that are rare in the training text or not in it."""

import hashlib
import math
import random

import numpy as np
import pytest
from small_texts import encode, folder_of

from awd import corpora
from awd.corpora.counts import repeated_lines, unigram_loss
from awd.errors import InputError

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


def test_lines_of_valid_and_test_that_train_has_are_counted():
    """By hand, with 0 as <eos>: of seven words no line counts, whatever the type of the numbers."""
    long, short, doubled = [*range(1, 9), 0], [*range(1, 8), 0], [2] * 9 + [0]
    texts = {
        "train": [*long, *short, 0, *doubled],
        "valid": [*doubled[1:], *short, 9, *long],
        "test": [*long * 3, *reversed(long[:-1]), 0],
    }
    for kind in (np.uint16, np.int32):
        splits = {split: np.array(ids, dtype=kind) for split, ids in texts.items()}
        found = repeated_lines(splits, 0)
        assert found["valid"] == {"lines": 0, "of": 2, "share": 0}
        assert found["test"] == {"lines": 3, "of": 4, "share": 3 / 4}
    splits["test"] = np.array(short)
    assert repeated_lines(splits, 0)["test"] == {"lines": 0, "of": 0, "share": 0}


def test_text_that_test_shares_with_train_is_noted_and_trained_on(tmp_path, caplog):
    """It is no mistake for sure: forms and songs have such lines."""
    caplog.set_level("WARNING", "awd")
    lines = [f"line {each} of a text that no one knows\n" for each in range(100)]
    texts = {"train": lines, "valid": lines[-4:] + ["so far this is all new and unheard\n"] * 96}
    texts["test"] = lines[:40] + ["the rest of it is new and unheard of\n"] * 60
    raw = folder_of(tmp_path / "raw", {key: "".join(each).encode() for key, each in texts.items()})
    record = encode("mine", raw, tmp_path / "out")
    assert record["repeated_lines"]["test"] == {"lines": 40, "of": 100, "share": 0.4}
    assert record["repeated_lines"]["valid"]["share"] == 0.04
    said = "of the lines of 8 words or more, 40.0% (test) also stand in train, so perplexity"
    assert said in caplog.text


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


def test_the_loss_of_word_frequencies_by_hand():
    """Of 8 words a is 4, b 2, c 2: 1 bit for a, 2 bits for each of the others."""
    train = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert unigram_loss(train, np.array([0, 1, 2, 2]), 3) == pytest.approx(7 / 4 * math.log(2))
    # a fourth type is unseen, so one is added to each count: 5, 3, 3, 1 of 12
    assert unigram_loss(train, np.array([3]), 4) == pytest.approx(math.log(12))
    assert unigram_loss(train, np.array([0, 1]), 4) == pytest.approx(math.log(12 / 15**0.5))


def test_the_loss_of_word_frequencies_is_rounded_in_one_way():
    """Its last bit, too: a digest of a thousand losses of a random text."""
    draw = random.Random(1)
    train = np.array([int(draw.paretovariate(0.7)) % 500 for _ in range(20_000)])
    losses = [unigram_loss(train[: 100 + 10 * each], train[each:], 500) for each in range(1000)]
    digest = hashlib.sha256(",".join(loss.hex() for loss in losses).encode()).hexdigest()
    assert digest[:16] == "30deb46dd938be0a"
