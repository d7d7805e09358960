"""Words are numbered as they appear, over all files of a corpus; bad text is refused by line."""

import hashlib

import pytest

from awd.corpora.read import TextReader
from awd.errors import InputError


def write(folder, name, text):
    path = folder / f"{name}.txt"
    path.write_bytes(text)
    return path


def test_numbers_go_on_from_file_to_file(tmp_path):
    reader = TextReader("mine")
    first = write(tmp_path, "train", b"a b\n\nb c\n")
    second = write(tmp_path, "valid", b"c d\n")
    assert reader.read(first).tolist() == [0, 1, 2, 2, 1, 3, 2]
    assert reader.read(second).tolist() == [3, 4, 2]
    assert dict(reader.numbers) == {"a": 0, "b": 1, "<eos>": 2, "c": 3, "d": 4}
    assert reader.sha256 == {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)
    }


def test_words_of_a_vocabulary_have_their_numbers_already():
    reader = TextReader("mine", ["b", "<eos>"])
    assert reader.read_lines([b"a b\n", b"c a"], "text").tolist() == [2, 0, 1, 3, 2, 1]


def test_what_is_changed_in_a_users_text_is_counted(tmp_path):
    path = write(tmp_path, "train", "a\u200bb\u2028so\u00adft\n".encode())
    reader = TextReader("mine")
    reader.read(path)
    assert list(reader.numbers) == ["a", "b", "<eos>", "soft"]
    assert reader.normalised == {
        "zero_width_spaces": 1,
        "line_separators": 1,
        "invisible_characters": 1,
        "form_feeds": 0,
        "byte_order_marks": 0,
    }


def test_a_published_text_is_taken_as_it_is(tmp_path):
    reader = TextReader("ptb")
    reader.read(write(tmp_path, "train", "so\u00adft \x7f\n".encode()))
    assert list(reader.numbers) == ["so\u00adft", "\x7f", "<eos>"]
    assert not reader.normalised


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b" \n\n", "holds no words"),
        (b"a\nb <eos>\n", "line 2, holds <eos>, which awd adds at each line end"),
        (b"a </s>\nb </s>\n", "every line of .* ends in </s>, and awd adds <eos>"),
        (b"a\nb \xff\n", "line 2, is not UTF-8 text: byte 0xff at position 3$"),
        ("a\n".encode("utf-16"), "line 1, is not UTF-8 text: .* save it as UTF-8"),
        (b"a\nb\x07\n", r"line 2, holds the control character U\+0007"),
    ],
)
def test_a_text_that_cannot_be_meant_is_refused_with_its_place(tmp_path, text, sentence):
    with pytest.raises(InputError, match=rf"^corpus mine: .*{sentence}"):
        TextReader("mine").read(write(tmp_path, "train", text))


@pytest.mark.parametrize(
    "text", [b"a </s>\n", b"a </s>\nb\n", b"a <unk>\nb <unk>\n", b"a b\nc b\n"], ids=repr
)
def test_a_last_word_that_is_no_marker_is_kept(tmp_path, text):
    """One line proves no habit; <unk> is a word of the text; so is any word without brackets."""
    reader = TextReader("mine")
    ids = reader.read(write(tmp_path, "train", text)).tolist()
    words = list(reader.numbers)
    assert " ".join(words[each] for each in ids) == text.decode().replace("\n", " <eos> ").strip()
