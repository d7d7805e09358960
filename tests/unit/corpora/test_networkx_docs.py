"""The English corpus that is made from the docstrings of networkx."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from small_texts import ROOT, contents

from awd import corpora
from awd.corpora import catalogue, networkx_docs
from awd.errors import InputError
from awd.vocabulary import END, UNKNOWN, Split

ENTRY = catalogue.entries()[networkx_docs.CORPUS]


@pytest.fixture(scope="module")
def text() -> dict[str, str]:
    return networkx_docs.texts()


@pytest.fixture(scope="module")
def prose() -> dict[str, list[networkx_docs.Paragraph]]:
    return networkx_docs.prose(networkx_docs.module_sources(networkx_docs.package_folder()))


def test_the_text_never_changes(text):
    """The digests are written down twice: a run's name depends on them."""
    digests = [hashlib.sha256(text[split].encode()).hexdigest()[:8] for split in Split]
    assert digests == ["3c937066", "c05e731b", "0085fd1d"]
    assert corpora.fingerprint(networkx_docs.CORPUS).startswith("40ac173143370603")


def test_the_text_is_the_same_in_another_process(tmp_path, text):
    """Neither hash seeds enter it nor options that drop docstrings or raise warnings."""
    code = (
        "import sys; from pathlib import Path; from awd import corpora; "
        "corpora.fetch('networkx-docs', Path(sys.argv[1])); assert 'networkx' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-OO", "-Werror", "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert contents(tmp_path) == {split: each.encode() for split, each in text.items()}


def test_the_encoded_corpus_has_the_announced_sizes(tmp_path):
    """About 90,000 tokens, a tenth of them in valid and in test."""
    corpora.fetch(networkx_docs.CORPUS, tmp_path / "raw")
    print_ = corpora.fingerprint(networkx_docs.CORPUS)
    record = corpora.encode(networkx_docs.CORPUS, tmp_path / "raw", tmp_path, fingerprint=print_)
    assert {key: record[key] for key in ("vocabulary", "tokens")} == corpora.sizes("networkx-docs")
    assert record["normalised"] == {}
    assert [each["tokens"] for each in record["unseen"].values()] == [0, 0]
    total = sum(record["tokens"].values())
    for split in ("valid", "test"):
        assert 0.08 < record["tokens"][split] / total < 0.12


def test_no_sentence_is_in_two_splits(prose, text):
    """Nor twice in one; and no line of valid or test is one of train once rare words are gone."""
    split = networkx_docs.splits_of(prose)
    owner: dict[networkx_docs.Sentence, str] = {}
    for module, paragraphs in prose.items():
        for sentence in (each for paragraph in paragraphs for each in paragraph):
            assert sentence not in owner, (sentence, module, owner[sentence])
            owner[sentence] = module
    assert len(owner) > 4000
    assert {split[module] for module in owner.values()} == set(Split)
    lines = {name: set(each.splitlines()) for name, each in text.items()}
    assert lines["train"].isdisjoint(lines["valid"])
    assert lines["train"].isdisjoint(lines["test"])


def test_paragraphs_are_sentences(prose):
    """They end as sentences do, and hold no code of examples."""
    paragraphs = [paragraph for each in prose.values() for paragraph in each]
    assert {sentence[-1] for paragraph in paragraphs for sentence in paragraph} <= {
        *(".", "!", "?", ")", '"'),
        *("\u201d", "etc.", "i.e.", "e.g."),
    }
    words = [word for paragraph in paragraphs for sentence in paragraph for word in sentence]
    assert not {">>>", "::", "\\", "$", "`", "``"} & set(words)


def test_unknown_words(text):
    """Types of train occur three times; valid and test have no other types; <unk> stays rare."""
    counts = {split: Counter(each.split()) for split, each in text.items()}
    assert min(counts["train"].values()) >= 3
    for split in ("valid", "test"):
        assert counts[split].keys() <= counts["train"].keys()
        assert 0.01 < counts[split][UNKNOWN] / counts[split].total() < 0.1
    assert END not in counts["train"]


def test_modules_are_dealt_out_by_name():
    """Of ten neighbours one is valid and one is test, whatever order they come in."""
    names = [f"m{number:02}" for number in range(20)]
    splits = networkx_docs.splits_of(reversed(names))
    assert [name for name in names if splits[name] == "valid"] == ["m04", "m14"]
    assert [name for name in names if splits[name] == "test"] == ["m09", "m19"]
    assert sum(split == "train" for split in splits.values()) == 16


SOURCE = '''
"""Functions on trees. They are `fast <a.b>`_.

Title
=====

This is a :class:`Tree <trees.Tree>`, or ``None`` if there
is **no** root [1]_.

- An entry of a list that is a sentence.

See Also
--------
many, other
"""

class Tree:
    def height(self):
        r"""Returns the height of this tree.

        Parameters
        ----------
        self : Tree
            The tree whose height is to be returned.

        Notes
        -----
        The height is $O(n)$ for the worst tree of all.

        >>> 1. Not a sentence of the text either.

        The height of a leaf is zero. A tree
        has a height.
        """
'''


def test_what_of_a_docstring_is_prose():
    """Headings, lists, parameters, formulas and examples are not."""
    found = networkx_docs.prose({"a": SOURCE, "b": "'''The height of a leaf is zero. It is.'''"})
    lines = [" | ".join(map(" ".join, paragraph)) for paragraph in found["a"]]
    assert lines == [
        "functions on trees . | they are fast .",
        "this is a tree , or none if there is no root [ 1 ] .",
        "returns the height of this tree .",
        "the height of a leaf is zero . | a tree has a height .",
    ]
    assert "b" not in found, "one of its sentences came before"


def test_rare_words_of_train_are_unknown_everywhere():
    """Three occurrences in train count, no others."""
    paragraphs = {f"m{number}": [[("a", "b", ".")]] for number in range(5)}
    paragraphs["m0"] = paragraphs["m1"] = [[("a", "."), ("c", ".")]]
    assert networkx_docs.split_texts(paragraphs) == {
        "train": "a . <unk> .\na . <unk> .\na <unk> .\na <unk> .\n",
        "valid": "a <unk> .\n",
        "test": "",
    }


def test_another_release_is_one_sentence(monkeypatch, tmp_path):
    """What is installed, what is needed, and the command."""
    monkeypatch.setattr(metadata, "version", lambda _: "3.5")
    with pytest.raises(
        InputError,
        match=r"^corpus networkx-docs: it is made from networkx 3\.6\.1, and networkx 3\.5 is "
        r"installed; to install the release: pip install networkx==3\.6\.1$",
    ):
        corpora.fetch(networkx_docs.CORPUS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_one_sentence(monkeypatch, tmp_path):
    """With or without the files of what was there once."""
    monkeypatch.setattr(networkx_docs, "PACKAGE", "no-such-package")
    with pytest.raises(InputError, match=r"no no-such-package is installed; .*: pip install no-"):
        corpora.fetch(networkx_docs.CORPUS, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(networkx_docs.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"no networkx is installed; .*: pip install networkx=="):
        corpora.fetch(networkx_docs.CORPUS, tmp_path)


def test_changed_files_are_one_sentence(monkeypatch, tmp_path):
    """An edited copy of the release makes another text."""
    folder = shutil.copytree(networkx_docs.package_folder(), tmp_path / "networkx")
    monkeypatch.setattr(networkx_docs, "package_folder", lambda: folder)
    corpora.fetch(networkx_docs.CORPUS, tmp_path / "raw")
    with (folder / "convert.py").open("a") as file:
        file.write('\ndef f():\n    """Returns a graph that was not there before."""\n')
    with pytest.raises(InputError, match=rf"files in {folder} are not those of the release; .*"):
        corpora.fetch(networkx_docs.CORPUS, tmp_path / "new")


def test_the_release_is_pinned_where_dependencies_are():
    """Whoever installs awd has the text."""
    pin = f"networkx=={ENTRY['version']}"
    assert pin == networkx_docs.requirement()
    assert pin in (ROOT / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pin in project["dependencies"]


def test_tokens():
    assert networkx_docs.tokenize("It's **bold**: x != 3.11, e.g. here") == [
        *("it's", "**", "bold", "**", ":", "x", "!=", "3.11", ",", "e.g.", "here"),
    ]
    assert Path(networkx_docs.package_folder()).name == "networkx"
