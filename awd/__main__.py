"""``python -m awd``, also installed as ``awd``."""

import atexit
import gc
import os

# torch's modules, records and figures stay to the end: collecting among them took a tenth of the
# time of a start or a report, and half a second more at the end of a process that had loaded torch.
gc.set_threshold(200_000)
atexit.register(gc.freeze)


def start() -> None:
    """Run the command that the command line names."""
    try:
        from awd.machine import interrupt

        interrupt.end_calmly()
    except KeyboardInterrupt:  # before its handler is there
        os._exit(os.EX_TEMPFAIL)
    from awd.cli import main

    main()


if __name__ == "__main__":
    start()
