"""Corpora: fetch the text, verify it, encode it as integers, read it back.

A corpus is one of those in corpora.yaml or any folder with train.txt, valid.txt and test.txt,
named under ``corpus_folders`` in config.yaml. Only ``fetch`` opens the network. Importing this
package, as the plan does, imports no numpy.
"""

from awd.corpora.catalogue import NAME, fingerprint, own_folder, sizes
from awd.corpora.encode import Corpus, encode, load, recorded_sizes, short_texts, too_many
from awd.corpora.fetch import fetch
from awd.corpora.read import count

__all__ = [
    "NAME",
    "Corpus",
    "count",
    "encode",
    "fetch",
    "fingerprint",
    "load",
    "own_folder",
    "recorded_sizes",
    "short_texts",
    "sizes",
    "too_many",
]
