"""The model card of a run: what it is, its data, numbers, training and limits, all from records."""

from collections.abc import Iterator, Mapping, Sequence

import yaml

from awd.corpora.catalogue import entries
from awd.report.words import corpus_name, plural
from awd.study.spec import DEFAULTS, RunSpec, make_spec, meaning
from awd.vocabulary import UNKNOWN, Stage, Status

CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN (tanh)"}
CONTEXTS = {
    "next-word": "each word from the words before it",
    "both-directions": "each word from the words before it and, by a second model, from the words "
    "after it",
    "cloze": "each word from the words before it and after it",
}
STAGES = {Stage.TRAIN: "training", Stage.FINETUNE: "training, then fine-tuning"}
ARITHMETIC = {
    "portable": "The same training on another CPU ends with the same bits.",
    "torch": "The same training on another CPU or with another version of torch ends with other "
    "numbers, as another seed would.",
    "device": "The same training on another kind of device or with another version of torch ends "
    "with other numbers, as another seed would.",
}


def plain_reader_misses(spec: RunSpec) -> str | None:
    """Return what of a model the short program of an export cannot read, None if nothing."""
    if spec.bidirectional:
        return "bidirectional layers"
    if spec.objective == "cloze":
        return "two directions at once"
    if spec.attention_window:
        return "attention"
    if spec.softmax == "adaptive":
        return "an adaptive softmax"
    if spec.reading == "sentences":
        return "sentences, each read from a state of zeros"
    return None


def model_card(record: Mapping, evaluations: Sequence[Mapping], vocabulary: Sequence[str]) -> str:
    """Return the card as Markdown that begins with the metadata of Hugging Face's model cards.

    Args:
        record: of the training.
        evaluations: records of evaluations of its weights.
        vocabulary: the words of its corpus.
    """
    spec = make_spec(record["spec"], record["run"])
    metadata = yaml.safe_dump(
        _metadata(spec, record, evaluations), sort_keys=False, allow_unicode=True
    )
    sections = {
        f"# {record['run']}": [_what(spec, record)],
        "## Use": _use(spec),
        "## Data": _data(record["corpus"]),
        "## Numbers": _numbers(evaluations),
        "## How it was trained": _training(spec, record),
        "## Limits": [f"- {each}" for each in _limits(spec, record, evaluations, vocabulary)],
    }
    text = [f"---\n{metadata}---\n"]
    text += [f"{heading}\n\n" + "\n".join(lines) + "\n" for heading, lines in sections.items()]
    return "\n".join(text)


def _metadata(spec: RunSpec, record: Mapping, evaluations: Sequence[Mapping]) -> dict:
    """Return the metadata that huggingface.co/docs/hub/model-cards describes."""
    name = record["corpus"]["name"]
    results = [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": corpus_name(name), "type": name, "split": split},
            "metrics": [
                {
                    "type": "perplexity",
                    "value": values["perplexity"],
                    "name": f"perplexity ({evaluation['method']})",
                }
            ],
        }
        for evaluation in evaluations
        if evaluation["status"] == Status.DONE
        for split, values in evaluation["splits"].items()
    ]
    metadata: dict = {
        "pipeline_tag": "text-generation",
        "tags": ["awd", "language-model", spec.cell],
    }
    if results:
        metadata["model-index"] = [{"name": record["run"], "results": results}]
    return metadata


def _what(spec: RunSpec, record: Mapping) -> str:
    corpus = record["corpus"]
    kind = "bidirectional " if spec.bidirectional else ""
    layers = plural(spec.layers, f"{kind}{CELLS[spec.cell]} layer")
    decoder = "tied to them" if spec.tied else "of its own"
    return (
        f"A language model of words: {layers} "
        f"of {plural(spec.hidden_size, 'unit')}, word vectors of size {spec.embedding_size}, "
        f"a decoder {decoder}; {plural(record['parameters'], 'parameter')}, "
        f"{plural(corpus['vocabulary'], 'word type')}. It predicts {CONTEXTS[spec.objective]}."
    )


def _use(spec: RunSpec) -> list[str]:
    lines = [
        "- `weights.safetensors` holds the weights, and as metadata the hyperparameters.",
        "- `vocabulary.txt` holds the words; row i of the embedding is line i, counted from 0.",
    ]
    if (missed := plain_reader_misses(spec)) is not None:
        return [*lines, f"- awd reads this model. A short program does not: it has {missed}."]
    return [
        *lines,
        "- `model.py` needs torch and safetensors alone. It prints the perplexity of a text whose "
        "words are separated by spaces:",
        "",
        "```sh",
        "python model.py weights.safetensors vocabulary.txt my-text.txt",
        "```",
    ]


def _data(corpus: Mapping) -> list[str]:
    tokens = [f"{count:,} ({split})" for split, count in corpus["tokens"].items()]
    full, short = corpus_name(corpus["name"]), corpus["name"]
    name = full if full == short else f"{full} (`{short}`)"
    lines = [
        f"- {name}: tokens {', '.join(tokens)}, the end of each line included",
        f"- fingerprint of the encoded text: `{corpus['fingerprint']}`",
    ]
    for split, digest in entries().get(corpus["name"], {}).get("sha256", {}).items():
        lines.append(f"- SHA-256 of {split}: `{digest}`")
    return lines


def _numbers(evaluations: Sequence[Mapping]) -> list[str]:
    if not evaluations:
        return ["These weights have not been evaluated."]
    lines = ["| evaluation | split | tokens | perplexity | status |", "|---|---|--:|--:|---|"]
    lines += [
        f"| {each['method']} | {split} | {values['tokens']:,} | {values['perplexity']:.2f} | "
        f"{each['status']} |"
        for each in evaluations
        for split, values in each["splits"].items()
    ]
    protocol = evaluations[0]["protocol"]
    eos = "counts" if protocol["eos_counted"] else "does not count"
    reading = "text is read as one stream, and the state is carried over"
    first = "The first token is not predicted."
    if not protocol["carried_state"]:
        reading = "text is read line by line, each line from a state of zeros"
        first = "The first token of a line is not predicted."
    return [
        *lines,
        "",
        "Perplexity is exp(total negative log-likelihood / number of predicted tokens). A held-out "
        f"{reading}; `<eos>` {eos}. {first}",
    ]


def _training(spec: RunSpec, record: Mapping) -> list[str]:
    result, libraries = record["result"], record["libraries"]
    devices = [
        each["name"] + (f", {plural(each['threads'], 'thread')}" if each["threads"] else "")
        for each in record["devices"]
    ]
    best = f"the weights are those of epoch {result['best_epoch']}"
    if result["best_epoch"] == 0:
        best = "the weights are those that fine-tuning started from"
    how = "in parallel streams" if spec.reading == "stream" else "line by line"
    facts = {
        "stage": STAGES[Stage(record["stage"])],
        "epochs": f"{result['epochs']}; {best}, with the best validation perplexity, "
        f"{result['valid_perplexity']:.2f} {how}",
        "device": "; ".join(devices),
        "time": f"{record['seconds']:,.0f} s, {record['started']} to {record['ended']}",
        "arithmetic": f"{record['precision']}, {record['arithmetic']}",
        "versions": ", ".join(f"{name} {version}" for name, version in libraries.items()),
        "code": f"awd {record['awd']}, commit {record['commit']}, recipe {record['recipe']}",
        "SHA-256 of the weights": f"`{record['weights_sha256']}`",
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items())]
    lines += ["", "Hyperparameters that differ from awd's defaults, which are a plain model:", ""]
    lines += ["| | | meaning |", "|---|--:|---|"]
    for name, value in spec.as_dict().items():
        if name not in DEFAULTS or value != DEFAULTS[name]:
            lines.append(f"| `{name}` | {value} | {meaning(name, value)} |")
    return lines


def _limits(
    spec: RunSpec, record: Mapping, evaluations: Sequence[Mapping], vocabulary: Sequence[str]
) -> Iterator[str]:
    corpus = record["corpus"]
    if UNKNOWN in vocabulary:
        yield f"A word that is not in `vocabulary.txt` is `{UNKNOWN}` to the model."
    else:
        yield f"It cannot read a word that is not in `vocabulary.txt`: it has no `{UNKNOWN}`."
    read = min(spec.train_tokens or corpus["tokens"]["train"], corpus["tokens"]["train"])
    yield (
        f"It has read {read:,} tokens of one text: "
        f"{corpus_name(corpus['name'])}. A new text must have the same form (case, numbers, "
        "punctuation), and its perplexity can only be compared with that of a model with the same "
        "vocabulary."
    )
    yield f"It is one training, of seed {spec.seed}. Another seed gives other numbers."
    yield ARITHMETIC[record["arithmetic"]]
    yield "The validation text chose the weights: its perplexity is a little too good."
    if spec.objective == "cloze":
        yield (
            "It sees the words after the one that it predicts. Its perplexity is not that of a "
            "language model, and it cannot generate text."
        )
    for evaluation in evaluations:
        if evaluation["status"] != Status.DONE:
            reason = evaluation["reason"]
            yield f"Evaluated by {evaluation['method']} it {evaluation['status']}: {reason}."
    yield "Perplexity is all that was measured; nothing is known about what texts it generates."
