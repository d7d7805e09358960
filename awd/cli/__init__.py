"""``python -m awd``, also installed as ``awd``: commands for people and for the workflow's rules.

Each command imports its modules when it is called: planning a study must not load torch.
"""

from awd.cli import models, plumbing
from awd.cli.commands import main

__all__ = ["main", "models", "plumbing"]
