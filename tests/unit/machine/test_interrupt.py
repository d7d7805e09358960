"""Ctrl-C ends a command or a workflow without a traceback, whenever it comes and how often."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from awd.machine import interrupt

SLOW_MODULE = "print('loading', flush=True)\nimport time\ntime.sleep(600)\n"
# What libraries make of an exception while they are loaded.
CONVERTING = f"try:\n{'    '.join(['', *SLOW_MODULE.splitlines(True)])}except BaseException:\n"
CONVERTING += "    raise ImportError('cannot load module') from None\n"
STARTING = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "awd.machine.interrupt":
            print("loading", flush=True)
            time.sleep(600)
sys.meta_path.insert(0, Slow())
from awd.__main__ import start
start()
"""
WAITING = """
from awd.machine import interrupt
import sys, time
interrupt.{install}()
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("once", flush=True)
    sys.stdin.readline()
    print("ended", flush=True)
"""
RUNNING = """
import signal, sys
from awd.machine import interrupt
interrupt.end_calmly()
child = '''
import signal, sys, time
from awd.machine import interrupt
class Stop(Exception): pass
def stop(number, _): raise Stop(signal.Signals(number).name)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
try:
    print("ready", flush=True)
    time.sleep(600)
except Stop as caught:
    sys.stdin.readline()
    print(f"saved after {caught}", flush=True)
    sys.exit(7)
'''
print("code", interrupt.run([sys.executable, "-c", child]), flush=True)
"""
TERMINATED_EARLY = """
import os, signal, subprocess, sys
from awd.machine import interrupt
class Popen(subprocess.Popen):
    def __init__(self, command):
        if {before}:
            os.kill(os.getpid(), signal.SIGTERM)
        super().__init__(command)
        if not {before}:
            os.kill(os.getpid(), signal.SIGTERM)
subprocess.Popen = Popen
print("code", interrupt.run([sys.executable, "-c", "input()"]))
"""


def start(code: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(folder)])},
    )


@pytest.mark.parametrize("module", [SLOW_MODULE, CONVERTING])
def test_while_a_module_is_loaded_a_command_ends_at_once(tmp_path, module):
    (tmp_path / "slow_module.py").write_text(module)
    code = "from awd.machine import interrupt\ninterrupt.end_calmly()\nimport slow_module\n"
    process = start(code, tmp_path)
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == interrupt.STOPPED


def test_a_command_that_has_only_begun_to_load_awd_ends_at_once(tmp_path):
    process = start(STARTING, tmp_path)
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == interrupt.STOPPED


def test_a_command_is_interrupted_once(tmp_path):
    process = start(WAITING.format(install="end_calmly"), tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "once\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate("\n") == ("ended\n", "")
    assert process.returncode == 0


def test_a_workflow_passes_it_on_and_then_asks_for_patience(tmp_path):
    child = (
        "import signal, sys, subprocess\n"
        "code = 'import time; print(\"born\", flush=True); time.sleep(600)'\n"
        "job = subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.DEVNULL)\n"
    )
    end = 'print("job", job.wait(), flush=True)'
    code = child + WAITING.format(install="end_jobs").replace('print("ended", flush=True)', end)
    process = start(code, tmp_path)
    assert {process.stdout.readline() for _ in range(2)} == {"born\n", "ready\n"}
    process.send_signal(signal.SIGINT)  # to this process alone
    assert process.stdout.readline() == "once\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == interrupt.STOPPING_ALREADY.decode()
    said, _ = process.communicate("\n")
    assert said == f"job {-signal.SIGINT}\n"
    assert process.returncode == 0


def test_a_workflow_that_has_not_begun_says_so_without_a_traceback(tmp_path):
    code = (
        "from awd.machine import interrupt\nimport time\ninterrupt.end_early()\n"
        "print('ready', flush=True)\ntime.sleep(600)\n"
    )
    process = start(code, tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", interrupt.NOTHING_DONE.decode())
    assert process.returncode != 0


@pytest.mark.parametrize("install", ["end_early", "end_jobs"])
def test_it_is_tried_again_where_snakemake_drops_it(tmp_path, install):
    (tmp_path / "snakemake").mkdir()
    (tmp_path / "snakemake/__init__.py").touch()
    (tmp_path / "snakemake/logging.py").write_text(
        "import sys\ndef emit():\n    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n    print('returned', flush=True)\n"
    )
    code = WAITING.format(install=install).replace(
        'print("ready", flush=True)',
        f"sys.path.insert(0, {str(tmp_path)!r}); from snakemake.logging import emit; emit()",
    )
    process = start(code, tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate("\n\n")
    assert said == "returned\nonce\nended\n"


@pytest.mark.parametrize("install", ["end_calmly", "end_early", "end_jobs"])
def test_what_ignores_it_goes_on_ignoring_it(install):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        getattr(interrupt, install)()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_effect_replaces_another():
    before = signal.getsignal(signal.SIGINT)
    try:
        interrupt.end_early()
        early = signal.getsignal(signal.SIGINT)
        interrupt.end_jobs()
        assert signal.getsignal(signal.SIGINT) not in (before, early)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_waits_until_the_one_that_it_runs_has_ended(tmp_path, number):
    """A terminal interrupts both; `kill` terminates the first one alone."""
    process = start(RUNNING, tmp_path)
    assert process.stdout.readline() == "ready\n"
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    if number == signal.SIGINT:
        child.send_signal(number)
    out, errors = process.communicate("\n")
    assert (out, errors) == (f"saved after {number.name}\ncode 7\n", "")


@pytest.mark.parametrize("before", [True, False])
def test_a_command_that_is_just_starting_is_terminated(tmp_path, before):
    """It would otherwise go on without the one that started it."""
    process = start(TERMINATED_EARLY.format(before=before), tmp_path)
    process.wait()
    assert process.communicate() == (f"code {-signal.SIGTERM}\n", "")
