"""``python -m awd``."""

from awd.cli import main

main()
