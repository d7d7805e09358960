"""``python -m awd``, also installed as ``awd``."""

import gc

from awd.machine import interrupt

# torch's modules, records and figures stay to the end: collecting among them took a tenth of the
# time of a start or a report.
gc.set_threshold(200_000)


def start() -> None:
    """Run the command that the command line names."""
    interrupt.end_calmly()
    from awd.cli import main

    main()


if __name__ == "__main__":
    start()
