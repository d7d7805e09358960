"""README and docs: links, paths and commands exist, and numbers are those of their source.

A table with measured numbers has a comment before it that names its source:

    <!-- copied from PATH -->      each cell stands in PATH, under the same row and column
    <!-- numbers from PATH -->     each number, or more digits of it, stands in PATH
    <!-- computed: NAME -->        each row is that of a function of this file
    <!-- measured ... -->          no file has the numbers; the comment names machine and date
"""

import itertools
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from awd.cli import main
from awd.corpora import sizes
from awd.corpora.catalogue import entries
from awd.report.stats import CONFIDENCE
from awd.report.words import HEADINGS
from awd.study.config import load_config
from awd.study.plan import Plan
from awd.vocabulary import Split

HOME = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "config/*.md",
        "docs/*.md",
        "results/*.md",
        "benchmarks/*.md",
        "tests/**/README.md",
    )
    for path in HOME.glob(pattern)
)
PROSE = [
    path
    for path in PAGES
    if path.parent in (HOME, HOME / "docs", HOME / "results")
    and not path.name.startswith("demo-")  # written by the demo
]
RUNS = HOME / "results" / "runs"
STUDIES = ("merity2018", "yoon2019", "bonetto2024", "kim2024", "factors", "precision")
FOLDERS = "awd|benchmarks|config|containers|docs|tests|workflow"
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])")

in_pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(HOME)))
in_prose = pytest.mark.parametrize("page", PROSE, ids=lambda path: str(path.relative_to(HOME)))


def parsed(page: Path) -> list[Token]:
    return MarkdownIt().enable(["table", "strikethrough"]).parse(page.read_text(encoding="utf-8"))


def leaves(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or [token]


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to headings."""
    tokens = parsed(page)
    headings = [
        after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def code(page: Path) -> list[str]:
    """All code on the page, inline and in blocks; a line that ends in a backslash goes on."""
    tokens = leaves(parsed(page))
    texts = [
        token.content for token in tokens if token.type in ("code_inline", "fence", "code_block")
    ]
    return [re.sub(r"\\\n\s*", "", text) for text in texts]


@in_pages
def test_links_and_pictures_lead_somewhere(page):
    for token in leaves(parsed(page)):
        target = str(token.attrs.get("href", token.attrs.get("src", "")))
        if target and "://" not in target:
            path, _, anchor = target.partition("#")
            there = (page.parent / path) if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def test_the_index_has_every_page():
    index = HOME / "docs" / "README.md"
    links = {str(token.attrs.get("href")) for token in leaves(parsed(index))}
    pages = {page.name for page in (HOME / "docs").glob("*.md") if page in PROSE}
    assert pages - {index.name} <= links


OWN_SUITE = "my-study"
"""The name that docs give to a reader's own suite."""


@in_prose
def test_paths_in_code_exist(page):
    for text in code(page):
        for path in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*[\w/](?![\w{{*])", text):
            made_up = path.endswith(("/NAME.yaml", f"/{OWN_SUITE}.yaml"))
            assert made_up or (HOME / path).exists(), path
        for name in re.findall(r"(?<![\w/])test_\w+\.py", text):
            assert list((HOME / "tests").rglob(name)), name
        for module in re.findall(r"python -m (awd\.[\w.]+)", text):
            path = HOME / module.replace(".", "/")
            assert path.exists() or path.with_suffix(".py").exists(), module


def test_the_map_of_the_code_names_what_is_there():
    """`one` and `two` in `awd/some/file.py`: the file has both names."""
    text = (HOME / "docs" / "README.md").read_text(encoding="utf-8").partition("\n## Where")[2]
    named = re.findall(r"((?:`[\w-]+`(?: and )?)+) in `([\w./-]+\.\w+)`", text)
    assert len(named) > 20
    for names, path in named:
        content = (HOME / path).read_text(encoding="utf-8")
        for name in re.findall(r"[\w-]+", names.replace(" and ", " ")):
            assert re.search(rf"(?<![\w-]){name}(?![\w-])", content), (name, path)


@in_prose
def test_commands_in_code_exist(page):
    for text in code(page):
        for command in re.findall(r"(?:python -m |^|[\n;&] *)awd ([a-z]\w*)", text):
            assert command in main.commands, command


@in_prose
def test_settings_in_code_are_keys_of_the_configuration(page):
    keys = yaml.safe_load((HOME / "config" / "config.yaml").read_text(encoding="utf-8")).keys()
    suites = {path.stem for path in (HOME / "workflow" / "suites").glob("*.yaml")} | {OWN_SUITE}
    for line in "\n".join(code(page)).splitlines():
        if "snakemake" in line and "--config" in line:
            for key, value in re.findall(r" (\w+)=(\S+)", line.partition("--config")[2]):
                assert key in keys, line
                if key == "suites":
                    assert {*value.split(",")} <= suites, line


def test_every_picture_is_shown_and_made_by_a_command():
    shown = {
        (page.parent / str(token.attrs["src"])).resolve()
        for page in PAGES
        for token in leaves(parsed(page))
        if token.type == "image"
    }
    pictures = set((HOME / "docs").glob("*.png"))
    assert pictures <= shown
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    benchmarks = "".join(path.read_text(encoding="utf-8") for path in HOME.glob("benchmarks/*.py"))
    for name in {picture.name for picture in pictures}:
        figure = name.removeprefix("figure-").removesuffix(".png")
        assert name in makefile + benchmarks or re.search(rf"\d-{figure}\b", makefile), name


def test_all_texts_name_the_confidence_that_intervals_have():
    captions = [
        path.read_text(encoding="utf-8") for path in (HOME / "workflow" / "report").rglob("*.rst")
    ]
    texts = [*HEADINGS.values(), *captions, *(page.read_text(encoding="utf-8") for page in PROSE)]
    named = re.findall(r"([\d.]+%)\s+(?:prediction )?interval", "\n".join(texts))
    assert len(named) > 10
    assert set(named) == {f"{CONFIDENCE:.0%}"}


def plain(cell: str) -> str:
    """A cell without footnotes, markup and separators of thousands."""
    cell = re.sub(r"<sup>.*?</sup>|</?\w+>|\*\*|~~|`|\\", "", cell).strip()
    return re.sub(r"(?<=\d),(?=\d{3})", "", cell)


def tables(page: Path) -> list[tuple[str, list[str], list[list[str]], int]]:
    """Each table's mark (empty without one), header, rows, and first line."""
    found, mark, rows = [], "", []
    for token in parsed(page):
        if token.type == "html_block":
            mark = " ".join(token.content.strip().removeprefix("<!--").removesuffix("-->").split())
        elif token.type == "table_open":
            rows, line = [], token.map[0] + 1
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(plain(token.content))
        elif token.type == "table_close":
            header, *body = rows
            found.append((mark, header, body, line))
            mark, rows = "", []
        elif token.type not in ("thead_open", "tbody_open") and not rows:
            mark = ""
    return found


@in_prose
def test_a_table_of_numbers_names_its_source(page):
    if page.name == "keys.md":  # made from the models; test_keys_page.py compares
        return
    for mark, _, rows, line in tables(page):
        if any(re.match(r"[+−]?\d+\.\d", cell) for row in rows for cell in row[1:]):
            kinds = r"(copied from|numbers from|computed:|measured) ?\S+"
            assert re.match(kinds, mark), f"line {line}"


@in_prose
def test_a_copied_table_is_like_its_source(page):
    for mark, header, rows, line in tables(page):
        if mark.startswith("copied from "):
            ((_, columns, source, _),) = tables(HOME / mark.removeprefix("copied from "))
            source = {row[0]: row for row in source}
            for name, *cells in rows:
                for column, cell in zip(header[1:], cells, strict=True):
                    there = source[name][columns.index(column)]
                    assert cell == there, f"line {line}, {name}, {column}"


@in_prose
def test_numbers_of_a_table_stand_in_its_source(page):
    for mark, _, rows, line in tables(page):
        if mark.startswith("numbers from "):
            source = (HOME / mark.removeprefix("numbers from ")).read_text(encoding="utf-8")
            known = [float(number) for number in NUMBER.findall(source + plain(source))]
            here = [number for row in rows for number in NUMBER.findall("|".join(row[1:]))]
            assert here, f"line {line} has no numbers"
            for number in here:
                decimals = len(number.partition(".")[2])
                assert number in [f"{each:.{decimals}f}" for each in known], f"line {line}"


def training_perplexities() -> list[list[str]]:
    """Training perplexities of kim2024 at full scale: published, in the last epoch, at the end."""
    ((_, columns, table, _),) = tables(HOME / "results/paper/tables/kim2024.md")
    published, finished = (columns.index(f"{kind} train") for kind in ("Published", "Reproduced"))
    plan = Plan(load_config(overrides={"scale": "paper", "suites": ["kim2024"]}))
    table = {cells[0]: cells for cells in table}
    rows = []
    for row in plan.suites["kim2024"]["rows"]:
        cells = table[row["label"]]
        if cells[published] != "–":
            curve = pd.read_csv(RUNS / row["runs"][0]["run"] / "train.csv")
            last = math.exp(curve["train_loss"].iloc[-1])
            rows.append([row["label"], cells[published], f"{last:.2f}", cells[finished]])
    return rows


def record_groups() -> list[list[str]]:
    """What made the records in git, by study and scale."""
    listed = subprocess.run(
        ["git", "ls-files", "results/runs"], cwd=HOME, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    committed = {Path(line).parent.name for line in listed.stdout.splitlines()}
    groups, explained = [], set()
    for scale, study in itertools.product(("paper", "small"), STUDIES):
        planned = HOME / "results" / scale / "plans" / f"{study}.json"
        if not planned.exists():
            continue
        needed = json.loads(planned.read_text(encoding="utf-8"))["runs"]
        done = committed & needed.keys()
        records = [
            json.loads(path.read_text(encoding="utf-8"))
            for name in sorted(done)
            for path in (RUNS / name).glob("*.json")
        ]
        if done and not done <= explained:
            explained |= done
            devices = [device for record in records for device in record["devices"]]
            days = sorted({record[key][:10] for record in records for key in ("started", "ended")})
            groups.append(
                [
                    study,
                    scale,
                    f"{len(done)} of {len(needed)}",
                    " to ".join(sorted({days[0], days[-1]})),
                    "; ".join(sorted({device["name"] for device in devices})),
                    " ".join(sorted({record["commit"] for record in records})),
                ]
            )
    assert explained == committed
    return groups


COMPUTED = {"training_perplexities": training_perplexities, "record_groups": record_groups}


@in_prose
def test_a_computed_table_is_as_computed(page):
    for mark, _, rows, line in tables(page):
        if mark.startswith("computed: "):
            expected = COMPUTED[mark.removeprefix("computed: ")]()
            assert rows == expected, f"line {line}"


def test_readme_names_the_authors_of_each_study():
    (rows,) = [rows for _, header, rows, _ in tables(HOME / "README.md") if header[0] == "suite"]
    studies = {row[0]: row[1] for row in rows if " " not in row[0]}
    for suite in STUDIES[:4]:
        published = HOME / "workflow" / "published" / f"{suite}.yaml"
        for author in yaml.safe_load(published.read_text(encoding="utf-8"))["authors"]:
            assert author in studies[suite], suite


def test_docs_have_the_sizes_of_the_corpora():
    page = HOME / "docs" / "corpora.md"
    (rows,) = [rows for _, header, rows, _ in tables(page) if header[0] == "name"]
    assert [row[0] for row in rows] == list(entries())
    for name, _, tokens, types in rows:
        size = sizes(name)
        assert tokens == " / ".join(str(size["tokens"][split]) for split in Split), name
        assert types == str(size["vocabulary"]), name


def test_numbers_in_the_text_of_results_stand_in_a_table_that_its_section_links():
    tokens = parsed(page := HOME / "docs" / "results.md")
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open"] + [len(tokens)]
    for start, stop in itertools.pairwise(starts):
        section = tokens[start:stop]
        links = [str(leaf.attrs.get("href", "")) for leaf in leaves(section)]
        sources = [page.parent / link for link in links if "/tables/" in link]
        known = {number for path in sources for number in NUMBER.findall(plain(path.read_text()))}
        for before, token in itertools.pairwise(section):
            if token.type == "inline" and before.type == "paragraph_open":
                for number in NUMBER.findall(token.content):
                    if len(number.partition(".")[2]) == 2:
                        assert number in known, token.content
