"""Which CPU this machine has, without torch."""

import platform
from pathlib import Path

GENERATIONS = {
    "Zen 4": (25, (range(0x10, 0x20), range(0x60, 0xB0))),
    "Zen 5": (26, (range(0x00, 0x10), range(0x20, 0x30), range(0x40, 0x50), range(0x70, 0x80))),
}
"""AMD's generations -> family and models, from arch/x86/kernel/cpu/amd.c of Linux."""

VECTORS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX-512", "avx2": "AVX2"}
"""Instruction sets that decide the speed of a training, the best first, by their flags."""


def flags() -> set[str]:
    """Return the CPU's instruction set extensions by their names in Linux; elsewhere none."""
    return set(_cpuinfo("flags").split())


def kind() -> str:
    """Return what decides the CPU's speed, such as "Zen 4, AVX2"; empty if nothing is known.

    Virtual machines hide the model name, and may lack instruction sets that the CPU has.
    """
    family, model = (_number(key) for key in ("cpu family", "model"))
    generations = [
        name
        for name, (number, models) in GENERATIONS.items()
        if _cpuinfo("vendor_id") == "AuthenticAMD"
        and family == number
        and any(model in each for each in models)
    ]
    found = flags()
    vectors = [name for flag, name in VECTORS.items() if flag in found]
    return ", ".join(generations + vectors[:1])


def name() -> str:
    """Return the CPU's name, and its kind in brackets where one is known."""
    model = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{model} ({kind()})" if kind() else model


def _number(key: str) -> int | None:
    value = _cpuinfo(key)
    return int(value) if value.isdecimal() else None


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        found, _, value = line.partition(":")
        if found.strip() == key:
            return value.strip()
    return ""
