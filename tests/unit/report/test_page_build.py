"""The page says what the records say, escapes what it is given, and is one file."""

import copy
import html.parser
import itertools
import json
import math
import re

import pandas as pd
import pytest
from synthetic import make_plan, write_runs

from awd.files import read_json, write_json
from awd.report import records, tables
from awd.report.build import report
from awd.report.page.build import outcomes
from awd.report.page.rows import command

HOSTILE = '</script></title><script>alert("x")</script><img src=x onerror=alert(1)> " \' & <b>'


class Outline(html.parser.HTMLParser):
    """Tags in order, and what is said; fails where tags do not nest."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):  # of the svg
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.said.append(data)

    def all(self, tag: str, **wanted) -> list[dict]:
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.said).split())


def build(folder, plan, **runs) -> str:
    write_json(folder / plan["scale"] / "plans/merity2018.json", plan)
    write_runs(plan, folder / "runs", tokens=500, **runs)
    (path,) = report(folder, plan["scale"], parts=("page",))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """Two corpora at scale paper, one row diverged and one missing; no figures drawn."""
    return build(tmp_path_factory.mktemp("page"), make_plan())


def test_every_row_has_its_numbers_and_how_to_run_it_again(page):
    """As many rows as the plan has, with perplexities of the records and the run's name."""
    outline = Outline(page)
    plan = make_plan() | {"results": re.search(r"--cores all (\S+)/runs/", outline.words)[1]}
    rows = plan["suites"][0]["rows"]
    assert len(outline.all("tr", **{"class": "details"})) == len(rows)
    for row in rows:
        assert command(plan, plan["suites"][0], row) in outline.words
    assert outline.words.count("close (") > 10
    assert "loss became nan at epoch 4, step 120" in outline.words
    assert "− AR/TAR (Penn Treebank) — missing" in outline.words


def test_verdicts_are_counted_as_the_table_has_them(tmp_path):
    """The head line and the card agree with the verdicts of the table."""
    text = build(tmp_path, make_plan())
    report(tmp_path, "paper", parts=("tables",))
    table = pd.read_csv(tmp_path / "paper/tables/merity2018.csv")
    verdicts = table["verdict"].value_counts()
    near, compared = verdicts["close"], verdicts.sum()
    words = Outline(text).words
    assert f"{near} of {compared} values agree with what was published." in words
    assert f"{near} of {compared} agree with the published value" in words
    assert "Of 18 rows, 16 are done, 1 missing, 1 diverged." in words


def test_no_verdict_at_other_scales(tmp_path):
    """Published numbers stand there as context; nothing is judged by them."""
    words = Outline(build(tmp_path, make_plan(scale="demo"))).words
    assert "close (" not in words.partition("How to read this Perplexity")[0]
    assert "context, not comparison" in words


def test_rows_of_which_nothing_was_published_say_so(tmp_path):
    """As rows on a text of one's own: the page does not speak of published numbers."""
    plan = make_plan(scale="demo")
    for row in plan["suites"][0]["rows"]:
        row["published"] = []
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    report(tmp_path, "demo", parts=("page",))
    page = (tmp_path / "demo/report.html").read_text(encoding="utf-8")
    assert "Nothing was published of these rows on these texts." in page
    assert "published numbers are shown" not in page


def test_text_of_records_cannot_leave_its_place(tmp_path):
    """Labels, titles, notes, citations, reasons and devices with markup in them are only text."""
    plan = make_plan(scale="demo", corpora=("ptb",))
    (suite,) = plan["suites"]
    suite["title"] = suite["paper"]["citation"] = HOSTILE
    suite["paper"]["url"] = "javascript:alert(1)"
    suite["notes"] = [HOSTILE]
    for row in suite["rows"]:
        row["label"] = row["note"] = HOSTILE
        row["changes"] = {HOSTILE: HOSTILE}
    benign = Outline(build(tmp_path / "benign", make_plan(scale="demo", corpora=("ptb",))))
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "runs", tokens=500)
    for path in (tmp_path / "runs").glob("*/*.json"):
        record = read_json(path)
        record["commit"] = record["devices"][0]["name"] = HOSTILE
        if "splits" in record:
            record |= {"status": "leaks", "reason": HOSTILE}
        write_json(path, record)
    (path,) = report(tmp_path, "demo", parts=("page",))
    text = path.read_text(encoding="utf-8")
    hostile = Outline(text)
    assert len(hostile.all("script")) == len(benign.all("script")) == 2
    assert len(hostile.all("title")) == len(benign.all("title"))
    assert not any("onerror" in attributes for _, attributes in hostile.tags)
    assert not any("javascript" in (a.get("href") or "") for _, a in hostile.tags)
    assert hostile.words.count("<script>alert") > 20
    data = re.search(r'<script type="application/json" id="sources">(.*?)</script>', text)
    assert "<img src=x" in json.loads(data[1])["merity2018"]["CSV"]


def test_the_page_is_one_file_that_may_load_nothing(page):
    """No address but those of citations; its policy forbids all but its own script and style."""
    outline = Outline(page)
    (policy,) = (a["content"] for a in outline.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert outline.all("link") == []
    loaded = [a.get("src") or a.get("data") for _, a in outline.tags if "src" in a or "data" in a]
    assert all(address.startswith("data:") for address in loaded)
    outside = {a["href"] for a in outline.all("a") if not a.get("href", "#").startswith("#")}
    assert outside == {"https://arxiv.org/abs/1708.02182"}
    assert "url(http" not in page


def test_names_point_to_what_is_there(page):
    """Links, captions and controls refer to identifiers that exist, each once."""
    outline = Outline(page)
    names = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(names) == len(set(names))
    for _, attributes in outline.tags:
        for key in ("aria-labelledby", "aria-controls"):
            assert attributes.get(key, names[0]) in names
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in names


def test_headings_have_no_gaps_and_landmarks_are_there(page):
    """What a screen reader jumps by."""
    outline = Outline(page)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(outline.all(landmark)) == 1
    assert all(table for table in outline.all("table"))
    assert outline.all("html") == [{"lang": "en"}]


def test_figures_that_exist_are_in_the_page(tmp_path):
    """The smaller of svg and png, with its caption as text; the others say that they are not."""
    plan = make_plan(scale="demo", corpora=("ptb",))
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "runs", tokens=500)
    report(tmp_path, "demo", parts=("figures",), figures=["curves"])
    (path,) = report(tmp_path, "demo", parts=("page",))
    outline = Outline(path.read_text(encoding="utf-8"))
    (image,) = (a for a in outline.all("img") if "data-name" in a)
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert image["alt"].startswith("Ablation of AWD-LSTM: Validation perplexity over epochs")
    assert "not drawn yet" in outline.words


def test_equal_records_give_an_equal_page(tmp_path):
    """No time of day, no order that changes."""
    plan = make_plan(scale="demo", corpora=("ptb",))
    assert build(tmp_path, plan) == build(tmp_path, plan)


def test_before_the_first_run_and_with_a_part_of_the_runs(tmp_path):
    """A plan alone gives a page that says so; partial seeds are counted."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb",), scale="demo")
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    (path,) = report(tmp_path, "demo", parts=("page",))
    words = Outline(path.read_text(encoding="utf-8")).words
    assert "Of 9 rows, 0 are done, 9 missing." in words
    assert "No result has been recorded yet." in words
    write_runs(make_plan(corpora=("ptb",), scale="demo"), tmp_path / "runs", tokens=500)
    report(tmp_path, "demo", parts=("page",))
    words = Outline(path.read_text(encoding="utf-8")).words
    assert "8 partial" in words
    assert "1 of 2 seeds" in words


def test_time_is_counted_once_for_each_training(tmp_path):
    """Rows that share a training have its time each, the total has it once."""
    plan = make_plan(scale="demo", corpora=("ptb",))
    (suite,) = plan["suites"]
    again = copy.deepcopy(suite["rows"][0]) | {"row": "again", "label": "the same again"}
    suite["rows"].append(again)
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "runs", epochs=10, tokens=500)
    (path,) = report(tmp_path, "demo", parts=("page",))
    words = Outline(path.read_text(encoding="utf-8")).words
    # Epochs of 85.1 s: 7 rows have 10 of training and of fine-tuning, one of which is never run.
    curves = len(list((tmp_path / "runs").glob("*/*.csv")))
    assert f"Training time {curves * 851 / 3600:.2g} core-hours" in words
    assert "Same training as merity2018/again, merity2018/minus-fine-tuning" in words


def test_energy_stands_beside_the_hours_of_a_row_whose_trainings_all_have_it(tmp_path):
    plan = make_plan()
    build(tmp_path, plan)
    paths = [path for stage in ("train", "finetune") for path in tmp_path.rglob(f"{stage}.json")]
    for joules, shown in ((36_000.0, True), (None, False)):
        for path in paths:
            write_json(path, read_json(path) | {"energy_joules": joules})
        (page,) = report(tmp_path, plan["scale"], parts=("page",))
        words = Outline(page.read_text(encoding="utf-8")).words
        assert bool(re.search(r"core-(hours|minutes), [\d,.]+ k?Wh", words)) is shown


def test_a_card_calls_a_row_worse_only_beyond_noise_after_correction():
    """An interval without zero is not enough; rows that are not tested do not count."""
    lines = [
        # delta, low, high, p_holm
        (10.0, 8.0, 12.0, 0.001),
        (-9.0, -11.0, -7.0, 0.002),
        (3.0, 0.5, 5.5, 0.089),
        (0.1, -2.0, 2.2, 0.9),
        (math.nan,) * 4,
    ]
    frame = pd.DataFrame(lines, columns=["delta_test", "delta_low", "delta_high", "p_holm"])
    assert outcomes(frame) == {"worse": 1, "better": 1, "undecided": 2}


@pytest.mark.parametrize(
    ("seeds", "lead", "outcome"),
    [
        ((1, 2, 3), 0.20, r"\[\+[\d.]+, \+[\d.]+\], p <?0\.\d+: beyond noise"),
        ((1, 2, 3), 0.013, r"\[−[\d.]+, \+[\d.]+\], p 0\.\d+: undecided"),
        ((1,), 0.20, ": noise unknown"),
    ],
)
def test_the_best_row_stands_beside_the_second(tmp_path, seeds, lead, outcome):
    """With their difference, whose sign is plus, and whether it is beyond noise."""
    plan = make_plan(seeds=seeds, corpora=("ptb",))
    build(tmp_path, plan)
    order = {"minus-nt-asgd": 0.0, "full": lead}
    for each in (tmp_path / "runs").glob("*/*.stream.json"):
        row, seed = re.search(r"-s(\d+)-merity2018-(.*)", each.parent.name).groups()[::-1]
        row = "minus-fine-tuning" if each.name.startswith("train.") else row
        nats = 4 + order.get(row, 1) + 0.003 * int(seed) * (-1 if row == "full" else 1)
        values = {"nll": 500 * nats, "tokens": 500, "perplexity": math.exp(nats)}
        write_json(each, read_json(each) | {"splits": {"valid": values, "test": values}})
    (path,) = report(tmp_path, plan["scale"], parts=("page",))
    text = Outline(path.read_text(encoding="utf-8")).words
    second = r"Second: AWD-LSTM, [\d.]+, \+[\d.]+ ?"
    assert re.search(rf"Best: − NT-ASGD, [\d.]+ {second}{outcome}", text), text[:3000]


def test_a_training_that_went_astray_has_a_footnote_and_no_outcome(tmp_path):
    """The noise of the other rows does not make it worse than the base row."""
    plan = make_plan(seeds=(1, 2, 3), corpora=("ptb",))
    (row,) = [row for row in plan["suites"][0]["rows"] if row["row"] == "minus-weight-drop"]
    del row["runs"][1:]
    build(tmp_path, plan)
    path = tmp_path / "runs" / row["runs"][0]["run"] / "finetune.stream.json"
    values = {"nll": 500 * math.log(20_000), "tokens": 500, "perplexity": 20_000.0}
    record = read_json(path) | {"splits": {"valid": values, "test": values}}
    write_json(path, record)
    (page,) = report(tmp_path, plan["scale"], parts=("page",))
    text = Outline(page.read_text(encoding="utf-8")).words
    assert "No interval: this row has one training here and does not share the noise" in text
    assert "A row whose training predicts no better than word frequencies" in text
    found, _ = records.collect(plan, tmp_path / "runs")
    frame = tables.build(plan["suites"][0], found, plan["scale"], plan["runs"])
    assert sum(outcomes(frame).values()) == frame["delta_test"].notna().sum() - 1
