"""What a path may name that is no regular file, made in a test's own folder."""

import os
import socket
from collections.abc import Callable
from pathlib import Path


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    """A FIFO that nobody writes to: whoever opens it to read waits for ever."""
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the system's limit for paths of sockets is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make_device(path: Path) -> None:
    """A file without an end."""
    path.symlink_to("/dev/zero")


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


SPECIAL: dict[Callable[[Path], None], str] = {
    make_folder: "it is a folder, not a regular file",
    make_pipe: "it is a pipe, not a regular file",
    make_socket: "it is a socket, not a regular file",
    make_device: "it is a device, not a regular file",
}
"""What makes each kind -> what is said of it."""
