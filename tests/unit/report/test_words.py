"""Words are made last: whatever they are, the numbers and their places stay the same."""

import html.parser
import inspect
import re

import pytest
from synthetic import make_plan, write_runs

from awd.files import read_json, write_json
from awd.report import records, tables, words
from awd.report.figures import ablation, curves, parameters
from awd.report.figures.frequencies import draw as draw_frequencies
from awd.report.figures.style import GREY
from awd.report.noise import by_split
from awd.report.page import render
from awd.report.published_curves import published_curves
from awd.report.remarks import (
    Ahead,
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    NoPublishedInterval,
    Note,
    OtherInterval,
    OwnNoise,
    SeedsMissing,
)
from awd.report.structures import UsedDevice
from awd.report.tables import layout, typeset
from awd.report.tables.latex import latex
from awd.report.tables.lead import leads
from awd.report.tables.markdown import markdown
from awd.vocabulary import Device, LeftOut, Status

GIBBERISH = "blorp, 7 of 9 seeds; quux (diverged)"


def test_the_source_of_the_noise_and_what_is_left_out_of_it():
    sources = {("ptb", 0): (12, 8), ("mine", 9_000): (2, 1)}
    assert words.noise_source(sources) == (
        "Noise of training, over all studies: 12 trainings on Penn Treebank (8 degrees of freedom) "
        "and 2 trainings on mine, first 9,000 tokens (1 degree of freedom)."
    )
    assert words.left_out({LeftOut.SPREADS: 3}).startswith("3 trainings left out (its trainings")
    assert words.left_out({}) == ""


@pytest.mark.parametrize(
    ("remark", "text"),
    [
        (Note("as the authors write"), "as the authors write"),
        (SeedsMissing(0, 3), "missing"),
        (SeedsMissing(1, 3), "partial (1 of 3 seeds)"),
        (Ended(Status.DIVERGED, "loss became nan", ()), "diverged: loss became nan"),
        (Ended(Status.LEAKS, None, (1, 2)), "seeds 1, 2 leak"),
        (Ended(Status.HOPELESS, "why", (), 3), "hopeless after 3 epochs: why"),
        (Ended(Status.HOPELESS, "why", (2,), 1), "seed 2 is hopeless after 1 epoch: why"),
        (Backward(71.111, 70.0), "perplexity of the backward direction, valid and test: 71.11, 70"),
        (NeverAveraged(12, 1, 1), "averaging did not start in its 12 epochs"),
        (NeverAveraged(12, 1, 2), "averaging did not start in its 12 epochs with 1 of 2 seeds"),
        (
            Incomparable((("context", "left and right"), ("vocabulary", 12))),
            "not comparable with the other rows: left and right context (pseudo-perplexity), "
            "12 word types",
        ),
        (
            NoInterval(),
            "no interval: no row trained on the same text has several trainings, and one",
        ),
        (
            NoInterval("pool", (LeftOut.ASTRAY, LeftOut.PROTOCOL)),
            "no interval: every row with several trainings on the same text is left out (a "
            "training predicts no better than word frequencies or it was measured by another "
            "protocol than most rows)",
        ),
        (
            NoInterval("base row", (LeftOut.SPREADS,)),
            "no interval: the base row has one training here and does not share the noise of other "
            "rows, because its trainings spread far more than those of other rows",
        ),
        (
            NoInterval("pool of the base row"),
            "no interval: no row trained on the text of the base row has several trainings",
        ),
        (NoInterval("row", (LeftOut.SPREADS,)), "no interval: this row has one training here and"),
        (
            OwnNoise(LeftOut.SPREADS),
            "its noise is that of its own trainings alone, because its trainings spread far more",
        ),
        (
            NoPublishedInterval(NoInterval()),
            "no interval of the published difference: no row trained on the same text has several",
        ),
        (
            Ahead("GRU", 0.5, -0.2, 1.2, 0.15, beyond=False),
            "second best: “GRU”, +0.50 (95% interval [−0.20, +1.20], p = 0.150): undecided",
        ),
        (
            Ahead("GRU", 9.0, 7.0, 11.0, 1e-9, beyond=True),
            "second best: “GRU”, +9.00 (95% interval [+7.00, +11.00], p < 0.001): beyond noise",
        ),
        (OtherInterval("trainings"), "interval over trainings"),
    ],
)
def test_each_remark_has_its_words(remark, text):
    assert words.remark(remark).startswith(text)


def test_costs_and_devices_have_units():
    assert words.hours({Device.CPU: 12.3, Device.CUDA: 0.01}) == "12 core-hours and 36 GPU-seconds"
    assert words.hours({Device.CPU: 0.0889}) == "5.3 core-minutes"
    assert words.hours({None: 1.5}) == "1.5 hours on mixed or unknown devices"
    devices = (UsedDevice(Device.CPU, "AMD EPYC", 2), UsedDevice(Device.CUDA, "NVIDIA H200", None))
    assert words.device_names(devices) == "AMD EPYC, 2 threads, then NVIDIA H200"
    assert words.device_names(None) == words.DASH


class Structure(html.parser.HTMLParser):
    """Tags with what is not text for people: classes, keys to sort by, and places."""

    KEPT = ("class", "data-sort", "data-row", "data-key", "x1", "x2")

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *((key, value) for key, value in attrs if key in self.KEPT)))


@pytest.fixture
def study(tmp_path):
    """One seed of two: a leaking row, one by another protocol, one diverged, one missing."""
    plan = make_plan(seeds=(1, 2), corpora=("ptb", "wikitext-2"))
    write_runs(plan, tmp_path / "runs", tokens=500)
    runs = tmp_path / "runs"
    leaking = runs / "ptb-lstm-s1-merity2018-minus-weight-drop/finetune.stream.json"
    write_json(leaking, read_json(leaking) | {"status": "leaks", "reason": "reads ahead"})
    for seed in (1, 2):
        other = runs / f"ptb-lstm-s{seed}-merity2018-minus-nt-asgd/finetune.stream.json"
        record = read_json(other)
        record["protocol"]["context"] = "left and right"
        write_json(other, record)
    (runs / "ptb-lstm-s2-merity2018-minus-embedding-dropout/finetune.stream.json").unlink()
    return plan, *records.collect(plan, runs)


def structure(plan, found, lines):
    """All that figures, tables and page show, but for words."""
    (suite,) = plan["suites"]
    table = tables.build(suite, found, "paper", plan["runs"])
    noises = by_split(found, plan["runs"])
    ahead = {suite["suite"]: leads(suite, table, found, "paper", plan["runs"], noises)}
    struck = [line for line in markdown(table, suite, "paper").splitlines() if "~~" in line]
    print_ready = latex(table, suite, "paper")
    inputs = {"suite": suite, "scale": "paper", "table": table, "curves": lines}
    inputs |= {"records": found, "published": published_curves(suite)}
    figures = [draw(**inputs) for draw in (ablation.draw, curves.draw, parameters.draw)]
    figures.append(draw_frequencies(**inputs))
    drawn = [
        (line.get_gid(), line.get_color(), tuple(map(tuple, line.get_xydata())))
        for figure in figures
        for axis in figure.axes
        for line in axis.lines
    ]
    grey = [text.get_position() for text in figures[0].axes[0].texts if text.get_color() == GREY]
    texts = [typeset(suite, table, "paper")]
    return {
        "table": table.drop(columns=["remarks"]).to_csv(),
        "struck": [re.findall(r"~~[\d.]+", line) for line in struck],
        "bold": re.findall(r"\\textbf{.*?}", print_ready),
        "lines": print_ready.count(r"\\"),
        "html": Structure(texts[0]["html"]).tags,
        "page": Structure(
            render(plan, [table], texts, found, lines, {}, {suite["suite"]: ahead})
        ).tags,
        "figures": drawn,
        "grey": grey,
    }


def test_gibberish_in_place_of_words_changes_no_number_and_no_place(study, monkeypatch):
    """Nothing parses a sentence: not a struck-out row, a colour, an order, or a cost."""
    expected = structure(*study)
    makers = [
        name
        for name, function in vars(words).items()
        if inspect.isfunction(function)
        and function.__module__ == words.__name__
        and not name.startswith("_")
    ]
    assert {"remark", "remarks", "status", "exclusion", "heading", "verdict"} <= set(makers)
    for name in makers:
        monkeypatch.setattr(words, name, lambda *_, name=name, **__: f"{GIBBERISH} {name}")
    monkeypatch.setattr(layout, "caption", lambda *_: GIBBERISH)
    found = structure(*study)
    for part, content in expected.items():
        assert found[part] == content, part


def test_a_text_of_which_a_part_is_trained_on():
    """A part that all rows share is in its name; parts that differ are in a sentence."""
    suite = {
        "train_tokens": {
            "ptb": {"full": 25_000, "half": 25_000},
            "mine": {"full": 0, "half": 2_000, "third": 1_000},
            "wikitext-2": {"full": 0},
        }
    }
    assert words.text_name(suite, "ptb") == "Penn Treebank, first 25,000 tokens"
    assert words.text_name(suite, "mine") == "mine"
    assert words.text_name(suite, "wikitext-2") == words.text_name({}, "wikitext-2") == "WikiText-2"
    assert words.training_texts([suite]) == [
        "Trained on the first 25,000 tokens of Penn Treebank.",
        "Trained on the first 1,000 or 2,000 tokens or all of mine.",
    ]
    assert words.training_texts([{}]) == []
    both = [{"train_tokens": {"ptb": {"full": tokens}}} for tokens in (0, 40_000)]
    assert words.training_texts(both) == [
        "Trained on the first 40,000 tokens or all of Penn Treebank."
    ]


@pytest.mark.parametrize(
    ("joules", "shown"),
    [(3600, "1 Wh"), (36_000, "10 Wh"), (7.2e6, "2 kWh"), (9e7, "25 kWh")],
)
def test_energy_has_the_unit_that_fits(joules, shown):
    assert words.energy(joules) == shown
    assert words.cost({Device.CPU: 2.0}, joules) == f"2 core-hours, {shown}"


def test_a_cost_without_known_energy_is_hours_alone():
    assert words.cost({Device.CUDA: 2.0}, None) == "2 GPU-hours"


@pytest.mark.parametrize(
    ("counts", "text"), [((), "0"), ((3, 3), "3"), ((2, 1, 1), "1 or 2"), ((1, 1200), "1 to 1,200")]
)
def test_a_range_of_counts_has_two_ends_or_one(counts, text):
    assert words.span(counts) == text
