"""The page of all keys, docs/keys.md, made from the models of configuration and suites."""

from collections.abc import Iterable, Mapping

from awd.study.config import CONFIG, Config, load_config
from awd.study.methods import MethodSettings
from awd.study.published_studies import Curves, Number, Study
from awd.study.spec import Hyperparameters
from awd.study.suite import Row, Scale, Suite
from awd.study.validation import Model

SECTIONS: Mapping[str, tuple[str, type[Model]]] = {
    "Configuration": (
        "`config/config.yaml`. Each key can be given on the command line as `KEY=VALUE`, after "
        "`snakemake --config` and to every `awd` command. A list is written `a,b` or `[a,b]`. "
        "`scale=` also takes the name of a folder of results: `paper-bf16` is scale paper in "
        "precision bf16.",
        Config,
    ),
    "Suite": (
        "`workflow/suites/NAME.yaml`. `awd new suite NAME` writes an example. Of a "
        "hyperparameter's values the most specific wins: `base`, then `corpora`, then `recipes`, "
        "then `scales.SCALE.set`, then what `awd tune` has chosen, then a row's `set`, then "
        "`scales.SCALE.rows.ROW`. Everywhere but in `base` a number can be relative: `x0.5` is "
        "half of the value that the key has without this line. `awd plan` shows the result.",
        Suite,
    ),
    "Row of a suite": ("`rows.NAME` in a suite.", Row),
    "Scale of a suite": ("`scales.demo`, `scales.small` or `scales.paper` in a suite.", Scale),
    "Hyperparameters": (
        "In `base`, in `set`, and wherever else a suite sets them.",
        Hyperparameters,
    ),
    "Settings of evaluation methods": (
        "Beside the hyperparameters, for rows with `method: cache`, `dynamic` or `ensemble`.",
        MethodSettings,
    ),
    "Published study": ("`workflow/published/NAME.yaml`.", Study),
    "Number of a published study": ("An entry of `numbers` in a published study.", Number),
    "Curves of a published study": ("`curves` in a published study.", Curves),
}
THEMES = {
    "cell": "Network",
    "weight_drop": "Regularisers",
    "reading": "Batches",
    "optimizer": "Optimisation",
}
"""The headings of hyperparameters, by the first of each, in their order in study.spec."""
HEAD = """\
# Every key

<!-- Made by `python -m awd.study.keys_page > docs/keys.md`; do not edit. -->

What a file may hold, with the values that are allowed and the default. A key without a default is
required. These are changed most:

| to choose | key | in |
|---|---|---|
| studies and their size | `suites`, `scale` | [configuration](#configuration) |
| texts | `corpora`, `corpus_folders`, `minimum_count` | [configuration](#configuration) |
| the number of trainings per row | `seeds` | [configuration](#configuration), [suite](#suite) |
| what one row changes | `set` | [row of a suite](#row-of-a-suite) |
| the model | `cell`, `layers`, `hidden_size`, `embedding_size`, `tied` | [network](#network) |
| regularisers | `dropout_output`, `weight_drop`, `weight_decay` | [regularisers](#regularisers) |
| how text is read in training | `batch_size`, `bptt`, `train_tokens` | [batches](#batches) |
| training | `optimizer`, `learning_rate`, `schedule`, `epochs` | [optimisation](#optimisation) |
| evaluation | `method` | [row](#row-of-a-suite), [settings](#settings-of-evaluation-methods) |

[A study of your own](own-study.md) shows how to use them.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    usual = load_config(CONFIG)
    for heading, (where, model) in SECTIONS.items():
        schema = model.model_json_schema()
        if model is Config:  # keys that a file leaves out have the values of the project's
            fields = schema["properties"]
            schema = {**schema, "required": ()}
            schema["properties"] = {
                key: {**fields[key], "default": usual.get(key)} for key in fields
            }
        lines = [f"## {heading}", "", where]
        columns = ["", "| key | values | default | meaning |", "|---|---|---|---|"]
        if model is not Hyperparameters:
            lines += columns
        required = schema.get("required", ())
        for key, field in schema["properties"].items():
            if model is Hyperparameters and key in THEMES:
                lines += ["", f"### {THEMES[key]}", *columns]
            default = "required" if key in required else _default(field.get("default"))
            field = field | _known_bounds(model.model_fields[key].metadata)
            values = _values(field, schema.get("$defs", {}))
            meaning = " ".join(field.get("description", "").split())
            cells = (f"`{key}`", values, default, meaning)
            lines.append(f"| {' | '.join(each.replace('|', '&#124;') for each in cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _default(value: object) -> str:
    if value in (None, []) or isinstance(value, Mapping):
        return ""
    if isinstance(value, list):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _values(field: Mapping, models: Mapping) -> str:
    """Return in words what a field of a JSON schema allows."""
    if "$ref" in field:
        return _values(models[field["$ref"].rpartition("/")[2]], models)
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_values(each, models) for each in field[several]))
    if "allOf" in field:
        return _values(field["allOf"][0], models)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    kind = field.get("type")
    if kind == "array":
        return f"list of {_values(field['items'], models)}"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"name: {_values(inner, models)}" if isinstance(inner, dict) else "mapping"
    if kind in ("integer", "number"):
        bounds = ", ".join(_bounds(field))
        return f"{'whole number' if kind == 'integer' else 'number'}{bounds and f', {bounds}'}"
    if kind == "string":
        return "name" if "pattern" in field and field["pattern"].startswith("^[a-z0-9]") else "text"
    return {"boolean": "true, false", "null": "null"}[str(kind)]


def _known_bounds(metadata: Iterable[object]) -> dict[str, float]:
    """Return the bounds of a field that JSON schema leaves out: those of a converted number."""
    names = {
        "ge": "minimum",
        "gt": "exclusiveMinimum",
        "le": "maximum",
        "lt": "exclusiveMaximum",
    }
    return {
        word: getattr(each, name)
        for each in metadata
        for name, word in names.items()
        if getattr(each, name, None) is not None
    }


def _bounds(field: Mapping) -> Iterable[str]:
    for key, words in {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }.items():
        value = field.get(key)
        if value is not None and abs(value) < 1 << 53:
            yield f"{words} {value:,g}" if abs(value) < 1e6 else f"{words} {value:g}"


if __name__ == "__main__":
    print(page(), end="")
