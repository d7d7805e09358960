"""Write the JSON schemas that editors use: ``python -m awd.study``."""

import json

from awd.files import write_text
from awd.places import SCHEMAS
from awd.study.config import Config
from awd.study.published_studies import Study
from awd.study.suite import Suite
from awd.study.validation import Model

MODELS: dict[str, type[Model]] = {"config": Config, "suite": Suite, "published": Study}


def schemas() -> dict[str, str]:
    """Return file name -> content of the schema of each kind of file that people write."""
    contents = {name: model.model_json_schema() for name, model in MODELS.items()}
    del contents["config"]["required"]  # `load_config` adds what a file leaves out
    return {
        f"{name}.schema.json": json.dumps(content, indent=1) + "\n"
        for name, content in contents.items()
    }


if __name__ == "__main__":
    for file, content in schemas().items():
        write_text(SCHEMAS / file, content)
