"""Configurations, suites, records and checkpoints that have gone wrong in a thousand ways.

Each is answered with one sentence or is as good as the original; the program never breaks.
"""

import copy
import errno
import io
import json
import os
import re
import shutil
import unicodedata
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from synthetic import make_plan, write_runs
from table_study import Page, study

from awd import corpora
from awd.errors import LONGEST, InputError
from awd.files import read_json, write_json
from awd.places import SUITES
from awd.report.build import report
from awd.report.plan_overview import show_plan
from awd.report.tables.files import csv
from awd.report.tables.html import html
from awd.report.tables.markdown import markdown
from awd.runs.checkpoint import Checkpoint
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan

pytestmark = pytest.mark.slow


def cases(number: int):
    """So many examples, the same in every run."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


ORIGINALS = {path.stem: path.read_text(encoding="utf-8") for path in SUITES.glob("*.yaml")}
NUMBERS = [0, 1, -1, 2, 300, 10**9, 2**63, 10**400, 0.0, 0.5, 1.0, -0.0, 1e-300, 1e308]
NUMBERS += [float("nan"), float("inf"), -float("inf")]
TEXTS = ["", " ", "x", "true", "1", "1e-3", "nan", "..", "/", "ä", "\u202e", "\U0001f600", "a\nb"]
TEXTS += ["010", "1:30", "0,5", "1_000", "0x1F", "no", "On", "2020-01-01", "1,2", "a,b", "<<", "="]
TEXTS += ["$(reboot)", "; reboot", "{run}", "'", '"', "x" * 5000, "-", "full", "ptb", "default"]
TEXTS += ["all", "numbers", "con", "x-epochs", "~nobody/x", "/dev/null/x"]
TREES = [None, True, False, [], {}, [[]], [None], {"": None}, {"x": {"x": {"x": []}}}, [1, "a"]]
VALUES = some.sampled_from(NUMBERS + TEXTS + TREES)
KEYS = some.sampled_from([*TEXTS, "set", "rows", "label", "layers", "seed", "corpus", 1, None, 2.5])


def places(tree: object) -> list[tuple]:
    """(container, key) of everything in ``tree``."""
    if not isinstance(tree, dict | list):
        return []
    keys = tree if isinstance(tree, dict) else range(len(tree))
    return [place for key in keys for place in [(tree, key), *places(tree[key])]]


@some.composite
def damaged(draw, tree: object) -> object:
    """A copy of the tree some of whose parts are gone, renamed, exchanged or something else."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(some.integers(1, 3))):
        found = places(tree)
        if not found:
            break
        container, key = draw(some.sampled_from(found))
        other, place = draw(some.sampled_from(found))
        value = copy.deepcopy(container[key])
        match draw(some.sampled_from(["value", "delete", "rename", "copy", "wrap", "edit"])):
            case "value":
                container[key] = copy.deepcopy(draw(VALUES))
            case "delete":
                del container[key]
            case "rename" if isinstance(container, dict):
                del container[key]
                container[draw(KEYS | some.just(f"{key}s"))] = value
            case "copy":
                other[place] = value
            case "wrap":
                container[key] = draw(some.sampled_from([[value], {"x": value}, [value] * 2]))
            case "edit" if isinstance(value, str):
                where = draw(some.integers(0, len(value)))
                container[key] = value[:where] + draw(some.sampled_from(TEXTS)) + value[where:]
    return tree


@some.composite
def scribbled(draw, text: str) -> str:
    """``text`` with characters or lines lost, repeated or put in."""
    for _ in range(draw(some.integers(1, 4))):
        start = draw(some.integers(0, len(text)))
        end = start + draw(some.integers(0, 30))
        change = draw(
            some.sampled_from(["", text[start:end] * 2, *":{}[]&*!|>'\"#%@`-?,\t\n\0\ufeff"])
        )
        text = text[:start] + change + text[end:]
    return text


def bytes_damaged(content: bytes) -> some.SearchStrategy[bytes]:
    """``content`` with flipped bits, cut short, or with something else in the middle."""
    place = some.integers(0, len(content) - 1)

    def flip(flips: list[tuple[int, int]]) -> bytes:
        changed = bytearray(content)
        for where, bits in flips:
            changed[where] ^= bits
        return bytes(changed)

    flips = some.lists(some.tuples(place, some.integers(1, 255)), min_size=1, max_size=3)
    return (
        flips.map(flip)
        | place.map(lambda end: content[:end])
        | some.tuples(place, some.binary(max_size=9)).map(
            lambda put: content[: put[0]] + put[1] + content[put[0] :]
        )
    )


def is_sentence(error: InputError) -> bool:
    text = str(error)
    return 10 < len(text) <= LONGEST and "\n" not in text and "Traceback" not in text


def is_plan(made: Plan) -> bool:
    """Whether everything in it can be written, shown, and be the name of a file."""
    json.dumps(made.as_dict(), allow_nan=False)
    with redirect_stdout(io.StringIO()):
        show_plan(made)
    names = [path.relative_to(made.results / "runs").as_posix() for path in made.evaluations()]
    return all(re.fullmatch(r"[a-z0-9-]{1,200}/[a-z0-9.-]{1,200}", name) for name in names)


def is_planned(config: Path, **changes) -> bool:
    try:
        return is_plan(Plan(load_config(config, changes), "config.yaml"))
    except InputError as error:
        return is_sentence(error)


def texts(text: str) -> some.SearchStrategy[str]:
    """YAML ``text`` gone wrong, as a tree or as characters."""

    def dump(tree: object) -> str:
        return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)

    return damaged(parsed(text)).map(dump) | scribbled(text)


@cache
def parsed(text: str) -> object:
    """YAML ``text`` as a tree, which nobody changes."""
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@cases(250)
@given(text=texts(re.sub(r"(?m)^suites: .*$", "suites: kim2024", CONFIG.read_text())))
def test_a_configuration(folder, text):
    (folder / "config.yaml").write_text(text)
    assert is_planned(folder / "config.yaml")


@pytest.mark.parametrize("name", ORIGINALS)
@cases(50)
@given(data=some.data())
def test_a_suite(folder, name, data):
    (folder / "suite.yaml").write_text(data.draw(texts(ORIGINALS[name])))
    scale = data.draw(some.sampled_from(["demo", "small", "paper"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("awd.study.suite.SUITES", folder)
        assert is_planned(CONFIG, suites="suite", scale=scale)


# texts --------------------------------------------------------------------------------------

ENDS = ["\n", "\r\n", "\r", "\u2028", "\u2029", "\u0085"]
SPELLINGS = [
    "{}",
    "\ufeff{}",
    "{}\u200b",
    "{}\u00ad",
    "\u202a{}\u202c",
    "{}\u2060",
    "\f{}",
    "\t{}\v",
]
RESERVED = ["<eos>", "x<eos>", "<e\u00ados>", "\0", "a\x1cb", "\x1b[1m", "a\x7f", "\x80", "a\rb"]
MARKERS = ["</s>", "<EOS>", "[SEP]", "<|end|>"]
WORDS = [
    "the",
    "caf\u00e9",
    "na\u00efve",
    "\u1ea1\u0302",
    "<unk>",
    "\u4e2d\u6587",
    "3.5",
    "<s",
    "'",
]


def encoded(folder: Path, train: bytes) -> list[str]:
    """The words of such a training text, after encoding."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    other = b"the same words in each line\n" * 4
    for split, text in {"train": train, "valid": other, "test": other}.items():
        (raw / f"{split}.txt").write_bytes(text)
    print_ = corpora.fingerprint("mine", {"mine": str(raw)})
    corpora.encode("mine", raw, folder / "encoded", fingerprint=print_)
    read = corpora.load(folder / "encoded")
    return [read.vocabulary[each] for each in read.train]


def is_encoded(folder: Path, train: bytes) -> bool:
    """Whether such a text is refused with a sentence or has words that can be seen."""
    try:
        return all(word.isprintable() for word in encoded(folder, train))
    except InputError as error:
        return is_sentence(error)


LINES = some.lists(some.lists(some.sampled_from(WORDS), max_size=4), min_size=2, max_size=5)


@cases(150)
@given(lines=LINES.filter(lambda lines: sum(map(len, lines)) > 2), data=some.data())
def test_a_text_in_other_characters(folder, lines, data):
    """Whatever its line ends and what is invisible in it, a text is its words and its lines."""
    expected = [unicodedata.normalize("NFC", word) for line in lines for word in [*line, "<eos>"]]
    end = data.draw(some.sampled_from(ENDS))
    form = data.draw(some.sampled_from(["NFC", "NFD"]))
    spelt = [
        " ".join(data.draw(some.sampled_from(SPELLINGS)).format(word) for word in line)
        for line in lines
    ]
    text = unicodedata.normalize(form, end.join([*spelt, ""]))
    if lines[-1] and data.draw(some.booleans()):
        text = text.removesuffix(end)
    mark = data.draw(some.sampled_from(["", "\ufeff"]))
    assert encoded(folder, (mark + text).encode()) == expected


@cases(150)
@given(lines=LINES, data=some.data())
def test_a_text_with_what_is_reserved(folder, lines, data):
    """One word that no text may hold, anywhere; a marker at each line end; another encoding."""
    text = [" ".join(["some", *line]) for line in lines]
    end = data.draw(some.sampled_from(ENDS))
    match data.draw(some.sampled_from(["word", "marker", "encoding"])):
        case "word":
            where = data.draw(some.integers(0, len(text) - 1))
            # with no other line end in the file, a carriage return is one
            word = data.draw(some.sampled_from(RESERVED if end == "\n" else RESERVED[:-1]))
            text[where] += f" {word} more"
            content = end.join([*text, ""]).encode()
        case "marker":
            marker = data.draw(some.sampled_from(MARKERS))
            content = f" {marker}{end}".join([*text, ""]).encode()
        case "encoding":
            encoding = data.draw(some.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32"]))
            content = end.join([*text, ""]).encode(encoding)
    with pytest.raises(InputError) as caught:
        encoded(folder, content)
    assert is_sentence(caught.value)
    assert "train.txt" in str(caught.value)


@cases(120)
@given(content=bytes_damaged("the caf\u00e9 is <unk>\r\n\u2028open\n".encode() * 3))
def test_a_text_with_other_bytes(folder, content):
    """It is encoded, each word in one line of the vocabulary, or refused with a sentence."""
    assert is_encoded(folder, content)


# labels -------------------------------------------------------------------------------------

MARKUP = ["$", "$x^2$", "<b>", "</td>", "&amp;", "&", "|", "\\", "\\input{x}", "%", "#", "_"]
MARKUP += ["{", "}", "`", "*", "~", "^", "'", '"', ",", "--", "=", "+", "-", "@", "[x](y)"]
MARKUP += ["{{ x }}", "a", "\u00e9", "\u03c3"]
LABELS = some.lists(some.sampled_from(MARKUP), min_size=1, max_size=8).map("".join)


@pytest.fixture(scope="module")
def made_table(tmp_path_factory):
    """Of one corpus, which has rows enough."""
    suite, frame = study(tmp_path_factory.mktemp("table"))
    return suite, frame[frame["corpus"] == "ptb"]


@cases(200)
@given(label=LABELS)
def test_a_label_is_text_in_every_format(made_table, label):
    """What a reader of the file gets is the label, whatever it is made of."""
    suite, frame = made_table
    row = frame["row"].iloc[1]
    frame = frame.assign(label=[label if each == row else each for each in frame["row"]])
    assert label in Page(html(frame, suite, "paper")).texts
    read = pd.read_csv(io.StringIO(csv(frame)), keep_default_na=False)
    found = read["label"][read["row"] == row].iloc[0]
    assert found == (f"'{label}" if label[0] in "=+-@" else label)
    assert len(read) == len(frame)
    lines = [line for line in markdown(frame, suite, "paper").splitlines() if line[:1] == "|"]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, "cells of each line"


# files --------------------------------------------------------------------------------------

CODES = ["EINVAL", "ENOTSUP", "EPERM", "EACCES", "ENOSPC", "EDQUOT", "EROFS", "EIO", "ENOSYS"]


@cases(200)
@given(call=some.sampled_from(["os.fsync", "os.open", "Path.replace"]), data=some.data())
def test_a_file_system_that_refuses(folder, call, data):
    """The new content is there, or the old one and an error that names the file."""
    place = folder / "refusing"
    place.mkdir(exist_ok=True)
    write_json(place / "record.json", {"n": 1})
    code = getattr(errno, data.draw(some.sampled_from(CODES)))

    def refuse(*what, **_):
        raise OSError(code, os.strerror(code), what[0] if call == "os.open" else None)

    error = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"awd.files.{call}", refuse)
        try:
            write_json(place / "record.json", {"n": 2})
        except OSError as raised:
            error = raised
    if error is not None:
        assert error.errno == code
        assert "record" in str(error.filename)
    written = 1 if error else 2
    assert read_json(place / "record.json") == {"n": written}
    assert [path.name for path in place.iterdir()] == ["record.json"]


# records ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["runs", "copy"])
def results(request, tmp_path_factory):
    """A folder of results, as it was made or as a copy without its runs; and what is read of it."""
    folder = tmp_path_factory.mktemp("results")
    made = make_plan(scale="demo", corpora=("ptb",))
    write_json(folder / "demo/plans/merity2018.json", made)
    write_runs(made, folder / "runs", tokens=300, epochs=3)
    report(folder, "demo", parts=["records"])
    if request.param == "copy":
        shutil.rmtree(folder / "runs")
        read = sorted(path for path in (folder / "demo").rglob("*") if path.is_file())
    else:
        read = [folder / "demo/plans/merity2018.json", *sorted(folder.glob("runs/*/*"))]
    return folder, {path: path.read_bytes() for path in read}


def is_reported(results: Path) -> bool:
    try:
        return bool(report(results, "demo", parts=["tables"]))
    except InputError as error:
        return is_sentence(error)


@cases(80)
@given(data=some.data())
def test_a_record(results, data):
    """A damaged plan, record, curve or array: the report names it or is built from it."""
    folder, contents = results
    name = data.draw(some.sampled_from(sorted({path.name for path in contents})))
    path = data.draw(some.sampled_from([path for path in contents if path.name == name]))
    damage = bytes_damaged(contents[path])
    if path.suffix == ".json":
        trees = damaged(json.loads(contents[path]))
        damage |= trees.map(lambda tree: json.dumps(tree, skipkeys=True).encode())
    path.write_bytes(data.draw(damage))
    try:
        assert is_reported(folder)
    finally:
        path.write_bytes(contents[path])


# checkpoints --------------------------------------------------------------------------------


@cases(120)
@given(data=some.data())
def test_a_checkpoint(folder, data):
    """Whatever happened to one generation, the other is read; damaged state never is."""
    checkpoint = Checkpoint(folder / "checkpoints", "run", "train")
    for epoch in (1, 2):
        checkpoint.save({"epoch": epoch, "weights": torch.ones(20)})
    intact = []
    for epoch, path in ((2, checkpoint.path), (1, checkpoint.previous)):
        content = path.read_bytes()
        changed = data.draw(some.just(content) | bytes_damaged(content))
        path.write_bytes(changed)
        intact += [epoch] * (changed == content)
    state = checkpoint.load()
    assert (state and state["epoch"]) == (intact[0] if intact else None)
