"""The corpus that is drawn from a Markov chain, and its entropy."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from awd import corpora
from awd.corpora import known_entropy
from awd.errors import InputError


def test_known_entropy_floor_can_be_recomputed(tmp_path):
    """From the encoded arrays and the published chain alone, and it agrees with the rate."""
    corpora.fetch("known-entropy", tmp_path / "raw")
    print_ = corpora.fingerprint("known-entropy")
    record = corpora.encode("known-entropy", tmp_path / "raw", tmp_path, fingerprint=print_)
    corpus = corpora.load(tmp_path)
    assert {key: record[key] for key in ("vocabulary", "tokens")} == corpora.sizes("known-entropy")

    symbols, matrix = known_entropy.chain()
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
    text = "".join(known_entropy.texts().values()).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "02478976cccfe75a"
    assert b"\n\n" not in text


def test_entropy_rate_of_a_chain_solved_by_hand():
    """Two states that swap with probabilities 1/2 and 1/4: stationary (1/3, 2/3)."""
    matrix = np.array([[0.5, 0.5], [0.25, 0.75]])
    second = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert known_entropy.entropy_rate(matrix) == pytest.approx(np.log(2) / 3 + second * 2 / 3)


def test_known_entropy_chain_forgets_its_start():
    """Every state leads to every other and without a period, so the rate describes any text."""
    _, matrix = known_entropy.chain()
    assert (np.linalg.matrix_power(matrix, 50) > 0).all()


def test_a_text_that_the_chain_cannot_make_is_refused():
    """A floor computed for another text would accuse or acquit the wrong model."""
    chain = ["be", "ba", "be", "<eos>"]
    with pytest.raises(InputError, match="other words"):
        known_entropy.floor(chain[:2], {})
    symbols, matrix = known_entropy.chain()
    forbidden = np.argwhere(matrix == 0)[0]
    with pytest.raises(InputError, match="valid has a step that the chain forbids"):
        known_entropy.floor(symbols, {"valid": forbidden})
