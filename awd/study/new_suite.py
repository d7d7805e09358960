"""An example to begin a study with: a small suite that runs as it is."""

from pathlib import Path
from string import Template

from awd import corpora
from awd.errors import InputError
from awd.files import write_text
from awd.places import SUITES, data_folders
from awd.study.suite import suite_files, why_reserved

EXAMPLE = Template("""\
# To run it, in a minute:       snakemake --cores all --config suites=$name
# To see its cost before:       awd plan suites=$name
# To change it, in five steps:  docs/own-study.md
# Every key, with its meaning:  docs/keys.md

title: What dropout does to a small LSTM

base:                       # hyperparameters of all rows; those not given have their defaults
  hidden_size: 64
  embedding_size: 64
  dropout_output: 0.3
  learning_rate: 20
  schedule: step            # divides the rate by decay_factor at each of these epochs
  decay_first: 4
  epochs: 6

base_row: lstm              # the row that the others are compared with
rows:
  lstm: {label: LSTM}
  no-dropout:
    label: − dropout
    set: {dropout_output: 0}          # what this row changes
  gru:
    label: GRU instead of LSTM
    set: {cell: gru, learning_rate: 10}

figures: [ablation, curves]

scales:                     # demo, small, paper: one is enough
  # Or ptb, wikitext-2, or your own text, whose folder corpus_folders in config/config.yaml names.
  demo: {corpora: [networkx-docs]}
""")


def write(name: str, folder: Path | None = None) -> Path:
    """Write an example called ``name``; return its path.

    ``folder`` is that of the suites, by default of the user's project.

    Raises InputError if the name cannot be a suite's, is reserved, or is taken.
    """
    if not corpora.NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot name a suite; use lower-case letters, digits and hyphens, and begin "
            "with a letter or digit"
        )
    known = suite_files()
    if reason := why_reserved(name, known):
        raise InputError(f"'{name}' cannot name a suite ({reason}); use another name")
    path = (folder or data_folders(SUITES)[-1]) / f"{name}.yaml"
    taken = {} if folder else known
    if path.exists() or name in taken:
        path = taken.get(name, path)
        raise InputError(f"{path} exists already; choose another name, or delete it first")
    write_text(path, EXAMPLE.substitute(name=name))
    return path
