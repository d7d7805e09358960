"""The two corpora that are made: English, and a source of known entropy."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from small_texts import ROOT, contents, folder_of

from awd import corpora
from awd.corpora import builtin
from awd.errors import InputError


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
