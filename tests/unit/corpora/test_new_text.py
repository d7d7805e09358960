"""A new text has the numbers of the corpus's words; others are <unk> and counted."""

import numpy as np
import pytest

from awd.corpora import Corpus
from awd.corpora.new_text import read_file, read_text
from awd.errors import InputError


def corpus_of(*words: str, name: str = "mine") -> Corpus:
    none = np.zeros(1, dtype=np.uint16)
    return Corpus(name, "f" * 64, list(words), none, none, none, info={})


def test_words_have_their_numbers_and_unknown_ones_are_counted():
    corpus = corpus_of("a", "<unk>", "b", "<eos>")
    text = read_text(corpus, "b new a\n\n<unk> new newer", "text")
    assert text.ids.tolist() == [2, 1, 0, 3, 3, 1, 1, 1, 3]
    assert text.replaced.nonzero()[0].tolist() == [1, 6, 7], "<unk> itself is a word"
    assert text.unknown == {"new": 2, "newer": 1}
    assert corpus.vocabulary == ["a", "<unk>", "b", "<eos>"]


def test_a_text_that_is_known_replaces_nothing():
    text = read_text(corpus_of("a", "<eos>"), "a a\na", "text")
    assert (text.ids.tolist(), text.replaced.any(), text.unknown) == ([0, 0, 1, 0, 1], False, {})


def test_a_text_is_normalised_if_the_corpus_was(tmp_path):
    """Accents are composed in a user's own corpus; a published one is taken as it is."""
    path = tmp_path / "new.txt"
    path.write_text("cafe\u0301\r\n", "utf-8")
    words = ("caf\u00e9", "<unk>", "<eos>")
    assert read_file(corpus_of(*words), path).ids.tolist() == [0, 2]
    assert read_file(corpus_of(*words, name="ptb"), path).unknown == {"cafe\u0301": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\na new\n", "the text, line 2: the corpus 'mine' has no word 'new', and no <unk>"),
        ("new\n", "the text, line 1: the corpus 'mine' has no word 'new'"),
        ("a <eos>\n", "the text, line 1, holds <eos>"),
        ("a\udc80", "the text, line 1, is not UTF-8 text: byte 0x80 at position 2"),
        ("a\0b", "control character U\\+0000"),
        ("\n", "the text holds no words"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, said):
    with pytest.raises(InputError, match=said):
        read_text(corpus_of("a", "<eos>"), text, "the text")


def test_the_remedy_is_named_for_a_users_own_corpus_alone():
    said = "no <unk> to read it as"
    with pytest.raises(InputError, match=f"{said}; set minimum_count=2, .* and train again$"):
        read_text(corpus_of("a", "<eos>"), "new", "the text")
    with pytest.raises(InputError, match=f"{said}$"):
        read_text(corpus_of("a", "<eos>", name="known-entropy"), "new", "the text")


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.txt"):
        read_file(corpus_of("a", "<eos>"), tmp_path / "none.txt")
