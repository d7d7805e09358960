"""Which CPU this machine has, by what Linux states."""

import subprocess
import sys

import pytest

from awd.machine import cpu


def machine(monkeypatch, **facts: str) -> None:
    named = {key.replace("_", " ").replace("vendor id", "vendor_id"): facts[key] for key in facts}
    monkeypatch.setattr(cpu, "_cpuinfo", lambda key: named.get(key, ""))


@pytest.mark.parametrize(
    ("family", "model", "flags", "expected"),
    [
        ("25", "17", "fpu avx avx2", "Zen 4, AVX2"),
        ("25", "97", "avx2 avx512f avx512_bf16", "Zen 4, AVX512-BF16"),
        ("25", "33", "avx2", "AVX2"),  # Zen 3
        ("26", "2", "avx2 avx512f avx512_bf16", "Zen 5, AVX512-BF16"),
        ("26", "80", "avx2 avx512f", "AVX-512"),  # a later one
        ("23", "49", "sse", ""),
    ],
)
def test_the_generation_and_the_best_vectors_are_the_kind(
    monkeypatch, family, model, flags, expected
):
    """A virtual machine shows the same name for each of them."""
    facts = {"cpu_family": family, "model": model, "flags": flags, "model_name": "AMD EPYC"}
    machine(monkeypatch, vendor_id="AuthenticAMD", **facts)
    assert cpu.kind() == expected
    assert cpu.name() == (f"AMD EPYC ({expected})" if expected else "AMD EPYC")


def test_families_of_other_makers_have_other_meanings(monkeypatch):
    facts = {"cpu_family": "25", "model": "17", "flags": "avx2 avx512f avx512_bf16 amx_bf16"}
    machine(monkeypatch, vendor_id="GenuineIntel", model_name="Intel Xeon", **facts)
    assert cpu.name() == "Intel Xeon (AMX)"


def test_without_proc_the_platform_names_the_cpu(monkeypatch):
    machine(monkeypatch)
    assert cpu.name()
    assert cpu.kind() == ""
    assert cpu.flags() == set()


def test_no_torch_is_needed():
    code = "import sys; from awd.machine import cpu; cpu.name(); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
