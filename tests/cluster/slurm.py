"""A real Slurm on one machine: ``python tests/cluster/slurm.py start`` or ``stop``, as root.

Three nodes with two make-believe GPUs each, as three slurmd on one host. Everything is configured
in /etc/slurm/slurm.conf, since job steps look nowhere else; a configuration that this file has not
written is never touched. All else lies in one folder, munge's socket and key included.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

CONFIGURATION = Path("/etc/slurm")
FOLDER = Path("/run/awd-slurm")
LOCK = Path("/run/awd-slurm.lock")
MARK = "# Written by tests/cluster/slurm.py, which also removes it.\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
NODES = ("n1", "n2", "n3")

CONTROLLER = """
ClusterName=awd
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
JobAcctGatherType=jobacct_gather/linux
KillWait=30
SlurmdTimeout=15
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
"""
NODE = (
    "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
    " CPUs=4 RealMemory=16000 Gres=gpu:2\n"
)
PARTITIONS = """
PartitionName=work Nodes=ALL Default=YES PriorityTier=1 PreemptMode=OFF
PartitionName=preemptible Nodes=n3 PriorityTier=1
PartitionName=urgent Nodes=n3 PriorityTier=2
"""


def obstacle() -> str | None:
    """Why there can be no Slurm here; None where there can."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"Slurm is not installed: no {', '.join(missing)}"
    if os.geteuid():
        return "only root can start a Slurm with its nodes"
    for path in (CONFIGURATION / name for name in FILES):
        if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
            return f"{path} belongs to another Slurm"
    return None


FILES = ("slurm.conf", "gres.conf", "cgroup.conf")


@contextmanager
def alone() -> Iterator[None]:
    """Within the block no other process that asks for this has the machine's only Slurm."""
    with LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start() -> None:
    """Start everything, in place of what an earlier start left; returns when all nodes are idle."""
    stop()
    if reason := obstacle():
        raise SystemExit(reason)
    FOLDER.mkdir(mode=0o755)
    (FOLDER / "state").mkdir()
    host = socket.gethostname()
    nodes = [
        NODE.format(node=node, host=host, port=17001 + number) for number, node in enumerate(NODES)
    ]
    contents = {
        "slurm.conf": CONTROLLER.format(host=host, folder=FOLDER) + "".join(nodes) + PARTITIONS,
        # A GPU needs a device file, and any two will do.
        "gres.conf": f"NodeName={','.join(NODES)} Name=gpu File=/dev/null,/dev/zero\n",
        "cgroup.conf": "CgroupPlugin=cgroup/v1\n",
    }
    CONFIGURATION.mkdir(exist_ok=True)
    for name, content in contents.items():
        (CONFIGURATION / name).write_text(MARK + content, encoding="utf-8")
    _start_munge()
    start_controller()
    for node in NODES:
        start_node(node)
    wait_for(lambda: set(states().values()) == {"idle"}, "all nodes are idle")


def stop() -> None:
    """End all daemons and what they started, and remove their configuration."""
    for node in NODES:
        kill_node(node)
    for name in ("slurmctld", "munged"):
        if process := _daemon(name):
            _kill([process])
    for path in (CONFIGURATION / name for name in FILES):
        if path.exists() and path.read_text(encoding="utf-8").startswith(MARK):
            path.unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)


def _start_munge() -> None:
    key = FOLDER / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    files = {"key": key, "pid": FOLDER / "munged.pid"}
    files |= {name: FOLDER / f"munge.{name}" for name in ("log", "seed")}
    options = [f"--{name}-file={path}" for name, path in files.items()]
    _run("munged", f"--socket={FOLDER}/munge.socket", *options)


def start_controller() -> None:
    """Start slurmctld, which goes on from the state it has saved."""
    _run("slurmctld")
    wait_for(lambda: _answers("scontrol", "ping"), "slurmctld answers")


def stop_controller() -> None:
    """End slurmctld as its service manager would: it saves its state."""
    process = _daemon("slurmctld")
    process.terminate()
    process.wait(600)


def start_node(node: str) -> None:
    """Start the slurmd of ``node``."""
    (FOLDER / node).mkdir(exist_ok=True)
    _run("slurmd", "-N", node)


def kill_node(node: str) -> None:
    """As if the power of ``node`` failed: slurmd and all processes of its jobs are gone at once."""
    # Each step of a job has a daemon of its own, which keeps a socket in the folder of its node.
    jobs = {path.name.split("_")[1].split(".")[0] for path in (FOLDER / node).glob(f"{node}_*.*")}
    victims = [process] if (process := _daemon(node)) else []
    for candidate in psutil.process_iter(["cmdline"]):
        title = " ".join(candidate.info["cmdline"] or [])
        if any(title.startswith(f"slurmstepd: [{job}.") for job in jobs):
            victims += [candidate, *candidate.children(recursive=True)]
    _kill(victims)


def report_down(node: str) -> None:
    """Tell slurmctld what it would find out by itself after SlurmdTimeout and some questions."""
    _run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=crashed")


def states() -> dict[str, str]:
    """What each node is doing."""
    lines = _run("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
    return dict(line.split() for line in lines)


def ended() -> list[dict[str, str]]:
    """The jobs that have ended so far, oldest first, as slurmctld's log of jobs describes them."""
    path = FOLDER / "jobs.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def wait_for(condition, what: str, seconds: float = 1800) -> None:
    """Return when ``condition()`` is true; TimeoutError if that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.1)


def _daemon(name: str) -> psutil.Process | None:
    """The process whose number ``name`` left in its file, if it is still that one."""
    program = "slurmd" if name in NODES else name
    try:
        process = psutil.Process(int((FOLDER / f"{name}.pid").read_text(encoding="ascii")))
        return process if process.name() == program else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(_alive, processes)), "killed processes are gone")


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _answers(*words: str) -> bool:
    return subprocess.run(words, capture_output=True).returncode == 0


def _run(*words: str) -> str:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    with alone():
        {"start": start, "stop": stop}[sys.argv[1]]()
