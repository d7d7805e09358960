"""A process that has torch loaded and forks for each job: loading it takes longer than small jobs.

Snakemake runs each job as a command of its own. Where jobs run on the machine that Snakemake runs
on, it starts a server beside itself; a command that needs torch then passes its words, environment
and open files to the server, waits, and ends as the forked process does. Signals are passed on.
Where there is no server, or no Linux, a command runs in its own process, with the same results.
"""

import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from awd.signals import heeded

VARIABLE = "AWD_FORKSERVER"
"""Tells jobs the environment's prefix and the socket's path, as a JSON list."""
SERVED = {"train", "finetune", "evaluate"}
LONGEST = 1 << 20  # bytes of a request; the kernel refuses to send more than some 200,000
STARTS = b"starts"
KILLED = 137  # as a shell says of a process that was killed

_servers = []  # whose pipes stay open until this process ends, and they with it


def start() -> None:
    """Start a server that ends with this process, for the jobs that this process starts.

    Without Linux, or where a socket cannot be made, nothing is started.
    """
    if sys.platform != "linux":
        return
    folder = Path(tempfile.mkdtemp(prefix="awd-"))  # only this user may enter
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(str(folder / "socket"))
        except OSError:  # its path may be too long for one
            folder.rmdir()
            return
        listener.listen(socket.SOMAXCONN)
        server = subprocess.Popen(
            [sys.executable, "-m", "awd", "serve", str(listener.fileno()), str(folder)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for jobs: each passes it on
        )
    _servers.append(server)
    os.environ[VARIABLE] = json.dumps([sys.prefix, str(folder / "socket")])


def hand_over(words: list[str]) -> None:
    """Let the server, if there is one, run the command line, and exit as it does.

    Returns if the command is to run here.
    """
    prefix, address = json.loads(os.environ.get(VARIABLE, "[null, null]"))
    if prefix != sys.prefix or not SERVED & set(words[:1]):
        return
    request = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    signals = heeded()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until there is whom to pass them on to
        try:
            server.connect(address)
            socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
            started = server.recv(len(STARTS)) == STARTS
        except OSError:  # the server has ended
            started = False
        if started:
            for number in signals:
                signal.signal(number, lambda number, _: _send(server, bytes([number])))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        if not started:
            return
        status = server.recv(16)
    if not status:
        print("awd: the process of this job was killed", file=sys.stderr)
    sys.exit(int(status) if status else KILLED)


def serve(descriptor: int, folder: Path, main: Callable) -> None:
    """Fork for each request on the listening socket, until standard input ends.

    What is loaded for the first request stays loaded for all.

    Args:
        descriptor: of the socket.
        folder: where the socket lies; it is removed.
        main: runs a command line, given as a list of words.
    """
    with socket.socket(fileno=descriptor) as listener:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # how a job ends it tells itself
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                _load()
                if os.fork() == 0:
                    listener.close()
                    _run(connection, main)
    shutil.rmtree(folder, ignore_errors=True)


def _load() -> None:
    """Load what the commands that are served load."""
    from awd import corpora, devices, evaluate, memory, stages  # noqa: F401

    gc.freeze()  # what is loaded is never garbage; looking at it would copy it into each process


def _run(connection: socket.socket, main: Callable) -> NoReturn:
    """Be the process that the request asks for."""
    status = 1
    try:
        request, descriptors, *_ = socket.recv_fds(connection, LONGEST, 3)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        request = json.loads(request)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        threading.Thread(target=_pass_on, args=[connection], daemon=True).start()
        connection.send(STARTS)
        status = _status(main, request["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):  # a terminal or a pipe that is no longer there
            sys.stdout.flush()
        _send(connection, b"%d" % status)
        os._exit(status)


def _status(main: Callable, words: list[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        main(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _send(connection: socket.socket, message: bytes) -> None:
    with suppress(OSError):  # where nobody waits for it any more
        connection.send(message)


def _pass_on(connection: socket.socket) -> None:
    """Send this process the signals that its command receives; if that was killed, SIGTERM."""
    while True:
        numbers = connection.recv(1)
        os.kill(os.getpid(), numbers[0] if numbers else signal.SIGTERM)
        if not numbers:
            return
