"""Every published number that belongs to a row of a suite stands in the suite, with its source."""

from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parents[3] / "workflow"
CORPORA = {"ptb": "ptb", "ptb?": "ptb", "wt2": "wikitext-2"}

# paper -> (suite, column, published row -> row of the suite, or None where no row is that model)
PLACES = {
    "merity2018": (
        "merity2018",
        "paper",
        {
            "AWD-LSTM (finetuned)": "full",
            "AWD-LSTM + continuous cache pointer": "cache",
            "full (AWD-LSTM tied)": "full",
            "- fine-tuning": "minus-fine-tuning",
            "- NT-ASGD": "minus-nt-asgd",
            "- variable sequence lengths": "minus-variable-lengths",
            "- embedding dropout": "minus-embedding-dropout",
            "- weight decay": "minus-weight-decay",
            "- AR/TAR": "minus-ar-tar",
            "- full sized embedding": "full-sized-embedding",
            "- weight-dropping": "minus-weight-drop",
        },
    ),
    "awd-lstm-lm-README": (
        "merity2018",
        "readme",
        {
            "LSTM without finetuning": "minus-fine-tuning",
            "LSTM finetuned": "full",
            "LSTM finetuned + cache": "cache",
            "QRNN without finetuning": None,
            "QRNN finetuned": None,
            "QRNN finetuned + cache": None,
        },
    ),
    "yoon2019 logs": (
        "yoon2019",
        "paper",
        {
            "LSTM train": "lstm",
            "LSTM finetune": "lstm-finetuned",
            'LSTM "without dropout" (really dropouti=dropouth=0 only)': "lstm-without-dropout",
            'LSTM "without dropout" (really dropouth=0 only)': "lstm-without-hidden-dropout",
            'LSTM "without" finetune': "lstm-without-dropout-finetuned",
            "GRU train (diverged)": "gru",
            "GRU finetune": "gru-finetuned",
            "GRU-5 train (diverged)": "gru-5",
            "GRU-5 finetune": "gru-5-finetuned",
            "biLSTM train (leak)": "bilstm",
            '"biLSTM" second run (is an LSTM, duplicate of LSTM train)': ("lstm", "rerun"),
            "LSTM finetune (from checkpoint named ep551)": ("lstm-finetuned", "rerun"),
        },
    ),
    "bonetto2024": (
        "bonetto2024",
        "paper",
        {
            "1: RNN, SGD lr 1.5": "rnn",
            "2: LSTM, SGD lr 5": "lstm",
            "3: LSTM, SGD lr 5, dropout": "dropout",
            "4: LSTM, AdamW lr 1e-3, dropout": "adamw",
            "5: LSTM, SGD lr 5, weight tying": "tying",
            "6a: LSTM, SGD lr 5, dropout, weight tying": "tying-dropout",
            "6b: LSTM, SGD lr 5, variational dropout, weight tying": "tying-variational-dropout",
            "7: LSTM, SGD lr 5, NT-AvSGD, variational dropout, weight tying": "nt-avsgd",
        },
    ),
    "kim_choi2024": (
        "kim2024",
        "paper",
        {
            "LSTM no dropout": "lstm",
            "GRU no dropout": "gru",
            "LSTM 25% dropout": "lstm-dropout",
            "GRU 25% dropout": "gru-dropout",
            "LSTM no dropout, value in the text": None,  # contradicts the table; in the notes
        },
    ),
}


def published() -> list[dict]:
    path = WORKFLOW / "published" / "results.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["results"]


def cells(suite: str) -> list[dict]:
    path = WORKFLOW / "suites" / f"{suite}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["published"]


@pytest.mark.parametrize("paper", PLACES)
def test_every_number_of_the_paper_has_its_cell(paper):
    suite, column, rows = PLACES[paper]
    have = {
        (cell["row"], cell["corpus"], cell.get("column", "paper"), split): (
            cell[split],
            cell.get("verified", True),
        )
        for cell in cells(suite)
        for split in ("train", "valid", "test")
        if split in cell
    }
    results = [result for result in published() if result["paper"] == paper]
    assert len(results) >= 8
    for result in results:
        row = rows[result["row"]]
        if row is None:
            continue
        row, where = row if isinstance(row, tuple) else (row, column)
        # where a report does not name the split, its number stands in the validation column
        split = result["split"] if result["split"] in ("train", "valid", "test") else "valid"
        key = (row, CORPORA[result["corpus"]], where, split)
        assert have[key] == (result["ppl"], result["verified"]), key


@pytest.mark.parametrize("suite", sorted({suite for suite, _, _ in PLACES.values()}))
def test_every_cell_has_a_source(suite):
    assert all(cell["source"] for cell in cells(suite))


def test_zarembas_rows_in_kim2024_are_the_published_ones():
    rows = {
        "lstm-zaremba": "non-regularized LSTM (small, 200)",
        "lstm-ensemble": "2 non-regularized LSTMs",
    }
    values = {
        (result["row"], result["split"]): result["ppl"]
        for result in published()
        if result["paper"] == "zaremba2014"
    }
    ours = {cell["row"]: cell for cell in cells("kim2024")}
    for row, theirs in rows.items():
        assert (ours[row]["valid"], ours[row]["test"]) == tuple(
            values[theirs, split] for split in ("valid", "test")
        )
