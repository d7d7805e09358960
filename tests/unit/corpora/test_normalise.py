"""Users' texts as editors, scrapers and other systems leave them: one reading, or a refusal."""

import json
import logging

import pytest

from awd import corpora
from awd.corpora.catalogue import text_fingerprint, text_sha256
from awd.corpora.encode import FEWEST_TOKENS
from awd.errors import InputError
from awd.vocabulary import Split

PLAIN = "the caf\u00e9 is open\n\nthe cat is out\n" * 3


def encode(folder, train=PLAIN, valid=PLAIN, test=PLAIN, corpus="mine"):
    """Encode such texts; return corpus.json and the words of each split."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    for split, text in {"train": train, "valid": valid, "test": test}.items():
        content = text if isinstance(text, bytes) else text.encode()
        (raw / f"{split}.txt").write_bytes(content)
    sha256 = {split: text_sha256(raw / f"{split}.txt", own=corpus == "mine") for split in Split}
    print_ = text_fingerprint(corpus, sha256)
    record = corpora.encode(corpus, raw, folder / "out", fingerprint=print_)
    read = corpora.load(folder / "out")
    words = {split: [read.vocabulary[each] for each in getattr(read, split)] for split in Split}
    return record, words


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        (PLAIN, {}),
        (PLAIN.replace("\n", "\r\n"), {}),
        ("\ufeff" + PLAIN, {}),
        (PLAIN.replace("\n", "\r"), {"carriage_returns": 9}),
        (PLAIN.replace("\n", "\r").removesuffix("\r"), {"carriage_returns": 8}),
        (PLAIN.replace("\n", "\u2028"), {"line_separators": 9}),
        (PLAIN.replace("\n", "\u2029", 4), {"line_separators": 4}),
        (PLAIN.replace("\n", "\u0085"), {"line_separators": 9}),
        (PLAIN.replace("\n\n", "\n\n\f"), {"form_feeds": 3}),
        (PLAIN.replace("the ", "\vthe\v "), {"form_feeds": 12}),
        (PLAIN.replace("the", "\ufeffthe"), {"byte_order_marks": 5}),
        (PLAIN.replace("open", "open\ufeff"), {"byte_order_marks": 3}),
        (PLAIN.replace("\u00e9", "e\u0301"), {"composed_words": 3}),
        (PLAIN.replace(" is ", "\u200bis\u200b "), {"zero_width_spaces": 12}),
        (PLAIN.replace("open", "op\u00aden"), {"invisible_characters": 3}),
        (PLAIN.replace("open", "\u202aopen\u202c\u200e"), {"invisible_characters": 9}),
        (PLAIN.replace("cat", "c\u2060at"), {"invisible_characters": 3}),
        (PLAIN.replace("cat", "\u061ccat"), {"invisible_characters": 3}),
        (PLAIN.replace("cat", "c\u034fa\u2063t"), {"invisible_characters": 6}),
        (PLAIN.replace("cat", "\u180ecat\ufff9"), {"invisible_characters": 6}),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_cannot_be_seen_changes_no_number(tmp_path, caplog, text, normalised, split):
    """The same tokens as the plain text; the record counts what was changed, and a log names it."""
    _, expected = encode(tmp_path)
    caplog.set_level(logging.WARNING, "awd")
    record, words = encode(tmp_path, **{split: text})
    assert words == expected
    assert record["normalised"] == normalised
    assert json.loads((tmp_path / "out/corpus.json").read_text())["normalised"] == normalised
    for key, number in normalised.items():
        assert f"{number} {key.replace('_', ' ')}" in caplog.text
    told = [record.getMessage() for record in caplog.records]
    here = ("are the same text", "tokens are hardly enough")  # true of these texts in any form
    told = [line for line in told if not any(each in line for each in here)]
    assert bool(told) == bool(normalised)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PLAIN.encode("utf-16-le"), r"line 1, is not .* 0xe9 at position 15 \(if it is UTF-16, "),
        (b"a\0 \0b\0\n\0" * 9, r"line 1, holds .* U\+0000: if the text is UTF-16, save it as"),
        (b"\0a\0 \0b\0\n" * 9, r"line 1, holds .* U\+0000: if the text is UTF-16, save it as"),
        (PLAIN.encode("utf-16"), r"line 1, is not .* 0xff at position 1 \(if it is UTF-16, save"),
        (PLAIN.encode("latin-1"), "line 1, is not UTF-8 text: byte 0xe9 at position 8"),
        (PLAIN.replace(" ", "\x00", 1), r"line 1, holds the control character U\+0000"),
        (PLAIN.replace("cat", "c\x1bat"), r"line 3, holds the control character U\+001B: remove"),
        (PLAIN.replace("cat is", "cat\x1cis"), r"line 3, holds the control character U\+001C"),
        (PLAIN.replace("cat", "c\x7fat"), r"line 3, holds the control character U\+007F"),
        (PLAIN.replace("cat", "c\x92at"), r"line 3, holds the control character U\+0092"),
        (PLAIN.replace("\n", "\r").replace("cat", "c\x1bat"), r"line 3, holds .* U\+001B"),
        (PLAIN.replace("cat ", "cat\r"), r"line 3, holds .* U\+000D: give the file one kind of"),
        (PLAIN.replace("\n", "\r\r\n"), r"line 1, holds .* U\+000D: give the file one kind of"),
        (PLAIN.replace("\n", "\r") + PLAIN, r"line 1, holds .* U\+000D: give the file one kind"),
        (PLAIN.replace("\n", " <eos>\n"), r"line 1, holds <eos>, which awd adds at each line end"),
        (PLAIN + "the<eos>cat\n", "line 10, holds <eos>"),
        (PLAIN + "the <e\u00ados> cat\n", "line 10, holds <eos>"),
        ("a </s>\nb c </s>\n\n" * 9, "every line of .* ends in </s>, and awd adds <eos>"),
        ("a <EOS>\nb c <EOS>\n" * 9, "every line of .* ends in <EOS>, and awd adds <eos>"),
        ("[CLS] a [SEP]\n[CLS] b [SEP]\n" * 9, r"every line of .* ends in \[SEP\], and awd adds"),
    ],
)
@pytest.mark.parametrize("split", ["train", "valid"])
def test_what_has_no_one_reading_is_refused(tmp_path, text, sentence, split):
    """The message names the file, the line and what to do; nothing is written."""
    with pytest.raises(InputError, match=sentence) as caught:
        encode(tmp_path, **{split: text})
    assert f"corpus mine: {tmp_path / 'raw' / f'{split}.txt'}, line" in str(caught.value) or (
        f"corpus mine: every line of {tmp_path / 'raw' / f'{split}.txt'}" in str(caught.value)
    )
    assert not (tmp_path / "out").exists()


def test_markers_that_are_words_stay(tmp_path):
    """Brackets at some line ends, <unk> at all, or a text of one line: none is a line's end."""
    for text in (PLAIN + "as in [1]\n" * 9, "a b <unk>\n" * 9, "\n" + "a b c " * 9 + "</s>"):
        _, words = encode(tmp_path, train=text)
        lines = text.removesuffix("\n").split("\n")
        assert words["train"] == " <eos> ".join([*lines, ""]).split()


def test_published_texts_are_taken_as_they_are(tmp_path, monkeypatch):
    """WikiText-2 has byte order marks inside; without them its published counts would be wrong."""
    from awd.corpora import catalogue

    text = PLAIN.replace("the", "\ufeffthe").replace("\u00e9", "e\u0301")
    entry = {"vocabulary": 8, "tokens": dict.fromkeys(Split, 33)}
    (tmp_path / "text").write_text(text)
    entry["sha256"] = dict.fromkeys(Split, text_sha256(tmp_path / "text", own=False))
    monkeypatch.setattr(catalogue, "entries", lambda: {"tiny": entry})
    record, words = encode(tmp_path, text, text, text, corpus="tiny")
    assert words["train"][:3] == ["the", "cafe\u0301", "is"], "the mark at the start is no word"
    assert "\ufeffthe" in words["train"]
    assert record["normalised"] == {}


# lengths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["valid", "test", "train"])
def test_texts_too_short_to_measure_are_refused_before_training(tmp_path, split):
    """One token fewer than the least is one sentence, with both numbers."""
    fewest = FEWEST_TOKENS[split]
    encode(tmp_path, **{split: "a " * (fewest - 1)})
    for text in ("a " * (fewest - 2), "a\n" * ((fewest - 1) // 2)):
        with pytest.raises(InputError, match=rf"{split}\.txt has \d+ tokens, .* at least {fewest}"):
            encode(tmp_path, **{split: text})


@pytest.mark.parametrize("objective", ["next-word", "both-directions", "cloze"])
def test_the_shortest_text_trains_and_is_measured(tmp_path, objective):
    """The limit is the true one: with it an epoch ends, and with less it would not."""
    import torch

    from awd.evaluation.evaluate import evaluate_stage
    from awd.study.methods import parse_method
    from awd.study.spec import RunSpec
    from awd.training.stage import train_stage
    from awd.training.trainer import VALIDATION_BATCH

    encode(tmp_path, train="a b " * 40, valid="a b " * 9 + "a", test="b " * 19)
    corpus = corpora.load(tmp_path / "out")
    assert len(corpus.valid) == len(corpus.test) == FEWEST_TOKENS["valid"] == 2 * VALIDATION_BATCH
    small = {"hidden_size": 4, "embedding_size": 4, "batch_size": 2, "bptt": 5, "epochs": 1}
    spec = RunSpec(corpus="mine", objective=objective, **small)
    folder = tmp_path / spec.run(corpus.fingerprint)
    done = train_stage(
        spec,
        corpus,
        "train",
        folder,
        device=torch.device("cpu"),
        checkpoints=tmp_path / "checkpoints",
        checkpoint_seconds=60,
    )
    assert done["status"] == "done"
    measured = evaluate_stage(
        spec, corpus, "train", parse_method("stream"), folder, device=torch.device("cpu")
    )
    assert measured["splits"]["test"]["tokens"] == len(corpus.test) - 1
