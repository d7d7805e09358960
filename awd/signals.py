"""The signals that ask a process to stop."""

import signal

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def heeded() -> list[signal.Signals]:
    """Those that this process does not ignore; after ``nohup`` it ignores hangups."""
    return [number for number in STOP if signal.getsignal(number) is not signal.SIG_IGN]
