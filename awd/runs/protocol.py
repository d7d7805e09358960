"""Describe how a perplexity was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from awd.corpora.sentences import line_end, predicted_places
from awd.vocabulary import END, HELD_OUT

if TYPE_CHECKING:
    from awd.corpora import Corpus
    from awd.study.methods import Method
    from awd.study.spec import RunSpec

LEFT, AROUND = "left", "left and right"
CONTEXTS = {"next-word": LEFT, "both-directions": LEFT, "cloze": AROUND}
"""What a word is predicted from, by objective; a second direction is a split of its own."""


def make_protocol(spec: RunSpec, corpus: Corpus, method: Method, chunk: int) -> dict:
    """Describe an evaluation for its record.

    Args:
        chunk: tokens that the model reads at a time. It limits right context; a model without
            right context has the same perplexity for any chunk.
    """
    end = line_end(spec.reading, corpus.vocabulary)
    return {
        "mode": spec.reading,
        "context": CONTEXTS[spec.objective],
        "batch_size": 1,
        "carried_state": spec.reading == "stream",
        "eos_counted": END in corpus.vocabulary,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(predicted_places(getattr(corpus, split), end)) for split in HELD_OUT},
        "chunk": chunk,
        "settings": dict(method.settings),
    }
