"""Run programs on an emulated x86-64 CPU with AVX-512, whatever CPU this machine has.

Bochs emulates a computer, so Linux is booted from a CD with a RAM disk that holds the programs, and
what they print is read from the serial port. QEMU emulates no AVX-512.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

CPU = "corei7_skylake_x"
PACKAGES = (
    "bochs bochs-term busybox-static isolinux linux-image-cloud-amd64 syslinux-common xorriso"
)
SECONDS = 1800
"""When a run is given up; it takes about a minute of CPU time."""

LINUX = sorted(Path("/boot").glob("vmlinuz-*"))[-1:]
FILES = [
    Path("/usr/lib/ISOLINUX/isolinux.bin"),
    Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"),
    Path("/usr/share/bochs/BIOS-bochs-latest"),
    Path("/bin/busybox"),
]
INSTALLED = (
    bool(LINUX)
    and all(os.access(path, os.R_OK) for path in LINUX + FILES)
    and all(map(shutil.which, ("bochs", "script", "timeout", "xorriso")))
)

# Bochs 2.7 states a wrong size of the registers in compact format (XSAVEC, XSAVES), so that
# Linux would use no AVX.
ISOLINUX = """\
DEFAULT linux
LABEL linux
 KERNEL /linux
 INITRD /initrd
 APPEND console=ttyS0,115200 clearcpuid=xsaves,xsavec loglevel=1 mitigations=off
"""
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox grep -m 1 flags /proc/cpuinfo
for program in /programs/*; do echo "== ${program##*/}"; $program; done
echo "== end"
/bin/busybox sleep 1  # until the serial port has sent all
/bin/busybox poweroff -f
"""
# As many instructions a second as the CPU has clock cycles, so that Linux's clocks agree.
BOCHS = f"""\
display_library: term
megs: 256
cpu: model={CPU}, ips=3500000000
ata0-master: type=cdrom, path=boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.txt
log: log.txt
panic: action=fatal
"""


def run(folder: Path, *programs: Path) -> tuple[set[str], dict[str, str]]:
    """The flags of the emulated CPU, and what each statically linked program printed."""
    disk, disc = folder / "disk", folder / "disc"
    for directory in ("bin", "proc", "programs"):
        (disk / directory).mkdir(parents=True)
    disc.mkdir()
    shutil.copy("/bin/busybox", disk / "bin")
    for program in programs:
        shutil.copy(program, disk / "programs")
    (disk / "init").write_text(INIT, encoding="utf-8")
    (disk / "init").chmod(0o755)
    with (disc / "initrd").open("wb") as archive:
        names = "\n".join(str(path.relative_to(disk)) for path in sorted(disk.rglob("*")))
        pack = ["busybox", "cpio", "-o", "-H", "newc"]
        subprocess.run(pack, cwd=disk, input=names.encode(), stdout=archive, check=True)
    shutil.copy(LINUX[0], disc / "linux")
    for path in FILES[:2]:
        shutil.copy(path, disc)
    (disc / "isolinux.cfg").write_text(ISOLINUX, encoding="utf-8")
    iso = ["xorriso", "-as", "mkisofs", "-quiet", "-b", "isolinux.bin", "-c", "boot.cat"]
    iso += ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-o", "boot.iso", "disc"]
    subprocess.run(iso, cwd=folder, check=True)
    (folder / "bochsrc").write_text(BOCHS, encoding="utf-8")
    (folder / "continue").write_text(
        "c\n", encoding="utf-8"
    )  # Debian's Bochs begins in its debugger
    # Bochs shows the screen in a terminal, and ends with an error when the computer is turned off.
    bochs = f"timeout --foreground -s KILL {SECONDS} bochs -q -f bochsrc -rc continue"
    with (folder / "screen.txt").open("wb") as screen:
        subprocess.run(
            ["script", "-qc", bochs, "/dev/null"],
            cwd=folder,
            env=os.environ | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=screen,
            check=True,
        )
    printed = (folder / "serial.txt").read_text("utf-8", errors="replace").replace("\r", "")
    parts = re.split(r"^== (.*)\n", printed, flags=re.MULTILINE)
    assert parts[-2:-1] == ["end"], printed
    return set(parts[0].split()), dict(zip(parts[1::2], parts[2::2], strict=True))
