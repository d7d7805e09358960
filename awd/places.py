"""Where the project keeps its data, and where results go."""

from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
CONFIG = HOME / "config.yaml"
SUITES = HOME / "workflow" / "suites"
SCHEMAS = HOME / "workflow" / "schemas"
PUBLISHED = HOME / "workflow" / "published"
CAPTIONS = HOME / "workflow" / "report" / "figures"
RESULTS = Path("results")
"""Relative to the folder that a command runs in."""
