"""The made-up study as tables, and what tests look for in one."""

import json
import math
from html.parser import HTMLParser

from synthetic import make_plan, write_runs

from awd.report import records, tables


def study(folder, scale="paper", change=lambda _: None, **options):
    """Plan, its only suite, and the table of it after made-up runs."""
    plan = make_plan(scale=scale, seeds=options.pop("seeds", (1,)))
    write_runs(plan, folder / "runs", **options)
    change(plan)
    frame, _ = records.collect(plan, folder / "runs")
    suite = plan["suites"][0]
    return suite, tables.build(suite, frame, scale, plan["runs"])


def line(table, row, corpus="ptb"):
    return table[(table["row"] == row) & (table["corpus"] == corpus)].iloc[0]


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class Page(HTMLParser):
    """What a browser would make of a fragment: elements with attributes, and that all close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, **wanted):
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if all(a.get(key) == value for key, value in wanted.items())]


def with_frequencies(folder, perplexity):
    """Record that the word frequencies of one corpus have this perplexity."""
    for path in folder.glob("runs/ptb-*/*.*.json"):
        splits = json.loads(path.read_text())["splits"]
        of_words = {"unigram_perplexity": perplexity}
        rewrite(path, splits={split: each | of_words for split, each in splits.items()})


def measured_otherwise(tmp_path, row="weight-drop", seeds=(1,), **protocol):
    """A study one row of which has the best perplexity, by another protocol."""

    def change(_):
        splits = {
            s: {"nll": 4000 * math.log(2.0), "tokens": 4000, "perplexity": 2.0}
            for s in ("valid", "test")
        }
        for path in tmp_path.glob(f"runs/ptb-*-merity2018-minus-{row}/finetune.stream.json"):
            protocols = json.loads(path.read_text())["protocol"] | protocol
            rewrite(path, splits=splits, protocol=protocols)

    return study(tmp_path, change=change, seeds=seeds)
