"""A made-up study with the shape of the 2018 ablation: nine rows, two corpora, any seeds.

Its perplexities lie near the published ones; its curves fall, switch to averaging and go on in
the fine-tuning stage as real ones do. One row has diverged and one was never run.
"""

import json
from pathlib import Path

import numpy as np

from awd.evaluation.breakdown import block_sums

ROWS = {  # row: label, parameters on ptb, published (valid, test) on ptb and on wikitext-2
    "full": ("AWD-LSTM", 24_221_600, (60.0, 57.3), (68.6, 65.8)),
    "minus-fine-tuning": ("− fine-tuning", 24_221_600, (60.7, 58.8), (69.1, 66.0)),
    "minus-nt-asgd": ("− NT-ASGD", 24_221_600, (66.3, 63.7), (73.3, 69.7)),
    "minus-variable-length": (
        "− variable sequence lengths",
        24_221_600,
        (61.3, 58.9),
        (69.3, 66.2),
    ),
    "minus-embedding-dropout": ("− embedding dropout", 24_221_600, (65.1, 62.7), (71.1, 68.1)),
    "minus-weight-decay": ("− weight decay", 24_221_600, (63.7, 61.0), (71.9, 68.7)),
    "minus-ar-tar": ("− AR/TAR", 24_221_600, (62.7, 60.3), (73.2, 70.1)),
    "minus-full-embedding": ("− full sized embedding", 47_000_000, (68.0, 65.6), (73.7, 70.7)),
    "minus-weight-drop": ("− weight-dropping", 24_221_600, (71.1, 68.9), (78.4, 74.9)),
}
PROTOCOL = {
    "mode": "stream",
    "context": "left",
    "batch_size": 1,
    "carried_state": True,
    "eos_counted": True,
    "vocabulary": 10_000,
    "chunk": 2000,
    "settings": {},
}
DIVERGED = ("minus-weight-decay", "wikitext-2")
MISSING = ("minus-ar-tar", "ptb")


def make_plan(seeds=(1,), corpora=("ptb", "wikitext-2"), scale="paper", name="merity2018") -> dict:
    runs, rows = {}, []
    for number, corpus in enumerate(corpora):
        for row, (label, parameters, *published) in ROWS.items():
            stage = "train" if row == "minus-fine-tuning" else "finetune"
            trained = "full" if row == "minus-fine-tuning" else row
            items = [{"seed": s, "run": f"{corpus}-lstm-s{s}-{name}-{trained}"} for s in seeds]
            for item in items:
                runs[item["run"]] = {
                    "spec": {
                        "layers": 3,
                        "hidden_size": 1150,
                        "clip": list(ROWS).index(trained),  # rows differ, seeds do not
                        "seed": item["seed"],
                    },
                    "corpus": {"name": corpus, "fingerprint": "0123456789abcdef"},
                    "parameters": parameters,
                }
            valid, test = published[number % 2]
            rows.append(
                {
                    "row": row,
                    "label": label,
                    "corpus": corpus,
                    "stage": stage,
                    "method": "stream",
                    "runs": items,
                    "changes": {},
                    "note": None,
                    "published": [
                        {
                            "column": "paper",
                            "valid": valid,
                            "test": test,
                            "source": "Merity et al. 2018, Table 4",
                        }
                    ],
                }
            )
    suite = {
        "suite": name,
        "title": "Ablation of AWD-LSTM",
        "paper": {"citation": "Merity et al., 2018", "url": "https://arxiv.org/abs/1708.02182"},
        "base": "full",
        "notes": ["Fine-tuning starts from the averaged weights."],
        "figures": ["curves", "ablation"],
        "curves": None,
        "rows": rows,
    }
    return {"format": 1, "scale": scale, "seeds": list(seeds), "runs": runs, "suites": [suite]}


def write_runs(plan: dict, runs: Path, epochs=12, tokens=4000, blocks=True, skip=()) -> None:
    """Write the records of every row but the missing one and those in ``skip``."""
    for suite in plan["suites"]:
        for row in suite["rows"]:
            if (row["row"], row["corpus"]) == MISSING or row["row"] in skip:
                continue
            for item in row["runs"]:
                _write_row(runs / item["run"], row, item, epochs, tokens, blocks)


def _write_row(folder, row, item, epochs, tokens, blocks):
    folder.mkdir(parents=True, exist_ok=True)
    seed, stage = item["seed"], row["stage"]
    generator = np.random.default_rng([seed, *row["row"].encode(), *row["corpus"].encode()])
    published = row["published"][0]
    factor = 1.01 + 0.006 * generator.standard_normal()
    valid, test = published["valid"] * factor, published["test"] * factor
    diverged = (row["row"], row["corpus"]) == DIVERGED
    reason = f"loss became nan at epoch {max(2, epochs // 3)}, step 120" if diverged else None
    common = {
        "format": 2,
        "run": item["run"],
        "stage": stage,
        "status": "diverged" if diverged else "done",
        "reason": reason,
        "spec": {"layers": 3, "seed": seed},
        "corpus": {"name": row["corpus"], "fingerprint": "0123456789abcdef"},
        "devices": [{"kind": "cpu", "name": "AMD EPYC", "threads": 1}],
        "precision": "fp32",
        "arithmetic": None,
        "weights_sha256": None,
        "libraries": {"python": "3.11.7", "torch": "2.13.0"},
        "awd": "0.1.0",
        "commit": "1234567",
        "recipe": 1,
        "started": "2025-01-01T00:00:00+00:00",
        "ended": "2025-01-01T01:00:00+00:00",
        "seconds": 3600.1,
        "energy_joules": None,
    }
    switch = max(2, epochs // 6) if "nt-asgd" not in row["row"] else None
    for step in ("train", "finetune"):
        record = common | {
            "stage": step,
            "result": {
                "epochs": max(2, epochs // 3) if diverged else epochs,
                "best_epoch": max(2, epochs // 3) - 1 if diverged else epochs - 1,
                "valid_perplexity": None,
                "switch_epoch": switch if step == "train" else None,
            },
            "parameters": 24_221_600,
            "tokens_per_second": 10900.0,
            "seconds_per_epoch": 85.1 + generator.standard_normal(),
            "peak_memory_mb": 850.0,
            "mechanisms": None,
            "resumes": 0,
        }
        best = _write_curve(folder, step, valid, epochs, switch, diverged, generator)
        record["result"]["valid_perplexity"] = best
        (folder / f"{step}.json").write_text(json.dumps(record))
        if step == stage:
            break
    splits = {}
    nats = {}
    for split, perplexity in (("valid", valid), ("test", test)):
        # Hard tokens are hard for every model: the rows share most of their per-token loss.
        shared = np.random.default_rng(len(row["corpus"])).gamma(1.2, 4.0, tokens)
        losses = shared + 0.4 * generator.standard_normal(tokens)
        losses = (losses * np.log(perplexity) / losses.mean()).astype(np.float32)
        nats[split] = losses
        total = float(losses.sum(dtype=np.float64))
        splits[split] = {
            "nll": total,
            "tokens": tokens,
            "perplexity": float(np.exp(total / tokens)),
            "batch_size": 1,
            "blocks": None,
            "floor": None,
            # half of the tokens are rare words, and carry three quarters of the loss
            "by_frequency": {
                "0": [0.75 * total, tokens // 2],
                "1000": [0.25 * total, tokens // 2],
            },
        }
    if blocks:
        splits["test"]["blocks"] = block_sums(nats["test"], np.arange(tokens) % 20, 19)
    evaluation = common | {
        "method": row["method"],
        "splits": {} if diverged else splits,
        "members": [],
        "protocol": PROTOCOL | {"tokens": {"valid": tokens, "test": tokens}},
    }
    (folder / f"{stage}.{row['method']}.json").write_text(json.dumps(evaluation))
    if not diverged:
        np.savez(folder / f"{stage}.{row['method']}.npz", **nats)


def _write_curve(folder, stage, target, epochs, switch, diverged, generator):
    """Write a curve unless it is none; returns its best validation perplexity."""
    best = np.inf
    lines = [
        "epoch,train_loss,valid_loss,valid_perplexity,learning_rate,averaging,event,seconds,"
        "tokens_per_second"
    ]
    settled = np.log(target)
    for epoch in range(1, epochs + 1):
        if stage == "train":
            loss = settled + 0.02 + 1.7 / epoch**0.9 + 0.12 * np.exp(-3 * epoch / epochs)
            if switch and epoch >= switch:
                loss -= 0.1 * np.exp(-3 * epoch / epochs)
            loss += 0.004 * generator.standard_normal()
        else:
            loss = settled + 0.02 * np.exp(-4 * epoch / epochs)
            loss += 0.0005 * generator.standard_normal()
        event = "averaging starts" if stage == "train" and epoch == switch else ""
        averaging = int(stage == "finetune" or bool(switch and epoch >= switch))
        if diverged and stage == "train" and epoch >= max(2, epochs // 3):
            lines.append(f"{epoch},nan,nan,nan,30.0,0,,85.1,10900.0")
            break
        best = min(best, np.exp(loss))
        losses = f"{loss - 0.3:.6f},{loss:.6f},{np.exp(loss):.4f}"
        lines.append(f"{epoch},{losses},30.0,{averaging},{event},85.1,10900.0")
    if not (diverged and stage == "finetune"):
        (folder / f"{stage}.csv").write_text("\n".join(lines) + "\n")
    return float(best)
