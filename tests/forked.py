"""Programs in processes forked from a server that has loaded torch, Snakemake and libraries.

To load them takes seconds, longer than most of what tests have them do. What comes out of the fork
runs as ``python -m awd`` or ``python -m snakemake`` would, in its own folder and environment, with
the modules of the awd that lies there.
"""

import gc
import multiprocessing
import os
import resource
import runpy
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import awd

ROOT = Path(awd.__file__).parents[1]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *("awd.cli.commands", "awd.cli.models", "awd.cli.plumbing", "awd.study.plan"),
        *("awd.training.stage", "awd.evaluation.evaluate", "awd.evaluation.generate"),
        *("awd.report.build", "awd.report.page.build", "snakemake.cli", "snakemake.api"),
        "snakemake.workflow",
        "forked",
    ]
)


def run(
    program: str,
    words: list,
    folder: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
    largest_file: int | None = None,
    errors_apart: bool = True,
) -> subprocess.CompletedProcess:
    """The end of ``awd`` or ``snakemake``, called in ``folder`` with ``words``.

    No file that it writes may have more bytes than ``largest_file``, as on a full disk. Unless
    ``errors_apart``, what it says on stderr is among what it says on stdout.
    """
    pipes = [PROCESSES.Pipe(duplex=False) for _ in range(1 + errors_apart)]
    readers, writers = zip(*pipes, strict=True)
    words = [*map(str, words)]
    process = PROCESSES.Process(
        target=_become, args=(program, words, folder, dict(environment), largest_file, writers)
    )
    process.start()
    for writer in writers:
        writer.close()
    said = _read(readers)
    process.join()
    return subprocess.CompletedProcess([program, *words], process.exitcode, *said)


def _read(readers: tuple[Connection, ...]) -> list[str]:
    """What comes out of pipes until their other ends are closed."""
    said = {reader: [] for reader in readers}
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if part := os.read(key.fd, 1 << 16):
                    said[key.fileobj].append(part)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    return [b"".join(parts).decode() for parts in said.values()]


def _become(program, words, folder, environment, largest_file, writers) -> None:
    """Turn this process into ``python -m program``; ``writers`` take its stdout and its stderr."""
    gc.freeze()  # a collection would copy all that is shared with the server
    os.dup2(writers[0].fileno(), 1)
    os.dup2(writers[-1].fileno(), 2)
    for writer in writers:
        writer.close()
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where nohup has started the tests
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(folder))
    if program == "snakemake" or ((folder / "awd").is_dir() and folder != ROOT):
        for name in [each for each in sys.modules if each.partition(".")[0] == "awd"]:
            del sys.modules[name]  # the Snakefile and the folder have their own
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        sys.dont_write_bytecode = True  # it would be cut off, and every later import would fail
    sys.argv = [program, *words]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
