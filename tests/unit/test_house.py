"""What is written down twice must say the same."""

from pathlib import Path

import yaml

from awd.report.figures import FIGURES
from awd.study.methods import SETTINGS

HOME = Path(__file__).parents[2]


def load(name: str) -> dict:
    return yaml.safe_load((HOME / name).read_text(encoding="utf-8"))


def test_every_requirement_is_pinned_exactly():
    lines = (HOME / "requirements.txt").read_text(encoding="utf-8").split()
    assert "torch==2.13.0" in lines
    assert all(line.count("==") == 1 for line in lines)


def test_the_conda_environment_has_the_same_pins():
    *_, pip = load("workflow/envs/awd.yaml")["dependencies"]
    assert pip["pip"] == (HOME / "requirements.txt").read_text(encoding="utf-8").split()


def test_config_yaml_has_every_key_of_its_schema():
    schema = load("workflow/schemas/config.schema.yaml")
    assert load("config.yaml").keys() == schema["properties"].keys() == set(schema["required"])


def test_the_suite_schema_knows_the_figures_and_methods_there_are():
    schema = load("workflow/schemas/suite.schema.yaml")
    assert set(schema["properties"]["figures"]["items"]["enum"]) == FIGURES.keys()
    assert set(schema["$defs"]["row"]["properties"]["method"]["enum"]) == SETTINGS.keys()


def test_every_object_in_the_schemas_refuses_unknown_keys():
    def objects(node):
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node:
                yield node
            for value in node.values():
                yield from objects(value)
        elif isinstance(node, list):
            for value in node:
                yield from objects(value)

    for path in (HOME / "workflow" / "schemas").glob("*.yaml"):
        for found in objects(yaml.safe_load(path.read_text(encoding="utf-8"))):
            assert found.get("additionalProperties") is False, (path.name, found)


def test_every_figure_has_a_caption_for_reports():
    captions = {path.stem for path in (HOME / "workflow" / "report" / "figures").glob("*.rst")}
    assert captions == FIGURES.keys()
