"""What Ctrl-C does to a command, and to a workflow with its jobs.

Handlers are installed only where Ctrl-C has its usual effect: what a shell started in the
background ignores it.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

STOPPED = 75
"""The exit code of a command that was stopped: EX_TEMPFAIL of sysexits.h, to be run again."""
IMPORTING = "<frozen importlib"
"""Part of the file names of Python's own importing functions."""
DROPPING = "snakemake/logging.py"
"""The file of Snakemake's functions that drop a KeyboardInterrupt."""
RETRY = 0.05
"""Seconds until the next try to interrupt such a function's caller, or who imports a module."""
NOTHING_DONE = b"Stopped before anything began.\n"
STOPPING_ALREADY = b"Stopping already: trainings save what they have, which may take a minute.\n"


def end_calmly() -> None:
    """End a command at Ctrl-C by one KeyboardInterrupt; later ones are ignored.

    While a module is imported the process ends at once: libraries turn the exception into another
    one, or abort. Nothing is written at that time.
    """

    def end(_number: int, frame: FrameType | None) -> None:
        if _is_inside(frame, IMPORTING):
            os._exit(STOPPED)
        ignore()
        raise KeyboardInterrupt

    _install(end)


def end_early() -> None:
    """End a workflow at Ctrl-C while it is read and planned, which changes nothing.

    Snakemake then removes its locks; its tracebacks are kept from the terminal.
    """

    def end(_number: int, frame: FrameType | None) -> None:
        if _is_inside(frame, DROPPING, IMPORTING):
            return _again_soon()
        ignore()
        os.write(2, NOTHING_DONE)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise KeyboardInterrupt

    _install(end)


def end_jobs() -> None:
    """End a workflow at Ctrl-C by one KeyboardInterrupt; its jobs get the signal, too.

    A terminal sends it to the jobs as well, but `kill` does not. At later ones, which would end
    the workflow with a traceback while its jobs still save, one line asks for patience.
    """

    def end(_number: int, frame: FrameType | None) -> None:
        if _is_inside(frame, DROPPING, IMPORTING):
            return _again_soon()
        signal.signal(signal.SIGINT, lambda *_: os.write(2, STOPPING_ALREADY))
        _interrupt_children()
        raise KeyboardInterrupt

    _install(end)


def run(command: list[str]) -> int:
    """Run a command that ends calmly by itself, and return its exit code.

    A terminal sends Ctrl-C to it, too, so here it does nothing. SIGTERM is passed on, also if it
    comes while the command starts.
    """
    child: subprocess.Popen | None = None
    terminated = False

    def terminate(*_: object) -> None:
        nonlocal terminated
        terminated = True
        if child is not None:
            child.terminate()

    _install(lambda *_: None)  # the command does not inherit a function
    signal.signal(signal.SIGTERM, terminate)
    with subprocess.Popen(command) as started:
        child = started
        if terminated:
            child.terminate()
        return child.wait()


def ignore() -> None:
    """Ignore Ctrl-C from now on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _install(handler: Callable[..., None]) -> None:
    now = signal.getsignal(signal.SIGINT)
    if now is signal.default_int_handler or getattr(now, "__module__", None) == __name__:
        signal.signal(signal.SIGINT, handler)


def _is_inside(frame: FrameType | None, *files: str) -> bool:
    while frame is not None:
        if any(file in frame.f_code.co_filename for file in files):
            return True
        frame = frame.f_back
    return False


def _again_soon() -> None:
    retry = threading.Timer(RETRY, os.kill, (os.getpid(), signal.SIGINT))
    retry.daemon = True
    retry.start()


def _interrupt_children() -> None:
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.send_signal(signal.SIGINT)
