"""The made-up study as inputs of figures, and what tests look for in one."""

import matplotlib
import numpy as np
import pandas as pd
from synthetic import make_plan, write_runs

from awd.report import records, tables
from awd.report.costs import Costs
from awd.report.published_curves import published_curves
from awd.report.structures import UsedDevice
from awd.vocabulary import Device, Stage

SMALL_PANELS = ("losses", "perplexities")  # figures with a panel per training, not per corpus


def study(folder, scale="demo", run=True, **options):
    """The inputs of every figure, by name."""
    plan = make_plan(seeds=(1, 2), scale=scale, **options)
    if run:
        write_runs(plan, folder / "runs", epochs=12, tokens=500)
    frame, lines = records.collect(plan, folder / "runs")
    frame["floor"] = 40.0  # as if the source of the text were known
    suite = plan["suites"][0]
    table = tables.build(suite, frame, scale)
    frames = {"table": table, "curves": lines, "records": frame, "published": published_curves({})}
    return {"suite": suite, "scale": scale, **frames}


def texts(figure):
    """All text of a figure."""
    artists = figure.findobj(matplotlib.text.Text)
    return [artist.get_text() for artist in artists if artist.get_text()]


def panel(figure, label, corpus=0):
    """The panel of a row; of the several corpora, that of the one with this number."""
    titles = [axis.get_title(loc="left").partition("\nunfinished")[0] for axis in figure.axes]
    found = [axis for axis, title in zip(figure.axes, titles, strict=True) if title == label]
    return found[corpus]


def values(axis, kind):
    """Epochs and values of the lines of a panel that are of this kind, by colour."""
    lines = [line for line in axis.lines if line.get_gid() == kind]
    return {line.get_color(): line.get_xydata() for line in lines}


def points(axis, *kinds):
    """Places of a panel's points that are of these kinds: (points, 2)."""
    found = [group for group in axis.collections if group.get_gid() in kinds]
    return np.concatenate([np.empty((0, 2)), *(group.get_offsets() for group in found)])


def published(*logs):
    """Published curves: (row, corpus, stage, epochs), with training loss 4 and validation 5."""
    parts = [
        pd.DataFrame({"row": row, "corpus": corpus, "stage": stage, "epoch": range(1, last + 1)})
        for row, corpus, stage, last in logs
    ]
    return pd.concat(parts).assign(train_loss=4.0, valid_loss=5.0, valid_perplexity=np.exp(5.0))


def leak(inputs, row):
    """Make a row one that reads ahead: a loss near zero, and a record that says so."""
    run = inputs["curves"]["run"].str.endswith(row)
    inputs["curves"].loc[run, "valid_perplexity"] = 1.1
    run = inputs["records"]["run"].str.endswith(row)
    inputs["records"].loc[run, ["status", "perplexity"]] = ["leaks", 1.1]
    inputs["table"].loc[inputs["table"]["row"] == row, "status"] = "leaks"


CPU = UsedDevice(Device.CPU, "AMD EPYC", 1)


GPU = UsedDevice(Device.CUDA, "NVIDIA H200", None)


def on(records, *devices):
    """The same results, computed on other devices."""
    used = dict.fromkeys(Stage, devices)
    return records.assign(devices=[used] * len(records))


def training_hours(row, curves, records):
    return Costs(records, curves).training_hours(row)


def joined(text):
    return text.replace("\n", " ")
