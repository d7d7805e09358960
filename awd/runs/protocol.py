"""How a perplexity was measured: what must agree before two of them may be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from awd.corpora.builtin import END

if TYPE_CHECKING:
    from awd.corpora import Corpus
    from awd.study.methods import Method
    from awd.study.spec import RunSpec

LEFT, AROUND = "left", "left and right"
CONTEXTS = {"next-word": LEFT, "both-directions": LEFT, "cloze": AROUND}
"""Per objective, what a word is predicted from; a second direction's numbers stand apart."""


def make_protocol(spec: RunSpec, corpus: Corpus, method: Method, chunk: int) -> dict:
    """The protocol of an evaluation, as its record holds it.

    Args:
        chunk: tokens that the model reads at a time. It limits how much right context there is,
            and has no effect on a model that has none.
    """
    return {
        "mode": "stream",
        "context": CONTEXTS[spec.objective],
        "batch_size": 1,
        "carried_state": True,
        "eos_counted": END in corpus.vocabulary,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(getattr(corpus, split)) - 1 for split in ("valid", "test")},
        "chunk": chunk,
        **method.settings,
    }
