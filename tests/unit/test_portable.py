"""fp32 on a CPU: the same bits on every CPU, and no operation that could spoil that."""

import json
import re
import runpy
import shutil
import subprocess

import bochs
import portable
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from awd.corpora.batching import as_stream
from awd.errors import InputError
from awd.model import kernels
from awd.study.spec import GATES

GOLDEN = json.loads(portable.GOLDEN.read_text("utf-8"))
ROOT = portable.KERNELS.parents[2]
SETS = kernels.operators.instruction_sets() if kernels.operators else []

pytestmark = pytest.mark.skipif(not SETS, reason="no compiled kernels")


@pytest.fixture(params=SETS)
def instruction_set(request, monkeypatch):
    monkeypatch.setenv("AWD_ISA", request.param)
    kernels._choose.cache_clear()
    yield request.param
    monkeypatch.undo()
    kernels._choose.cache_clear()
    kernels.usable(portable.CPU, torch.float32)


@pytest.mark.parametrize("name", portable.TRAININGS)
def test_a_training_is_the_same_on_every_cpu(instruction_set, name):
    assert kernels.usable(portable.CPU, torch.float32)
    assert kernels.operators.instruction_set() == instruction_set
    assert portable.digest_of_training(name) == GOLDEN["trainings"][name]


@pytest.mark.parametrize("name", portable.EVALUATIONS)
def test_an_evaluation_is_the_same_on_every_cpu(instruction_set, name):
    assert portable.digest_of_evaluation(name) == GOLDEN["evaluations"][name], instruction_set


def test_every_cell_is_among_the_trainings():
    assert set(GATES) <= set(portable.TRAININGS)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_kernels_alone_give_the_golden_digests(tmp_path, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    program = portable.program(tmp_path, compiler)
    assert portable.digests_of_kernels(program) == GOLDEN["kernels"]


SIXTEEN_LANES = portable.PROGRAM.with_name("sixteen_lanes.h")


@pytest.mark.skipif(
    "avx2" not in SETS or not shutil.which("g++"), reason="no AVX2, or g++ is not installed"
)
def test_the_kernels_of_avx512_give_the_golden_digests_without_avx512(tmp_path):
    """With its vectors and tiles, where each operation on 16 lanes is two on 8."""
    program = portable.program(tmp_path, "g++", "-mavx2", "-mfma", "-include", str(SIXTEEN_LANES))
    assert portable.digests_of_kernels(program) == GOLDEN["kernels"]


@pytest.mark.slow
@pytest.mark.skipif(
    not bochs.INSTALLED or not shutil.which("g++"),
    reason=f"no emulated CPU with AVX-512 (Debian: {bochs.PACKAGES}), or g++ is not installed",
)
def test_the_kernels_of_avx512_give_the_golden_digests_on_an_emulated_cpu(tmp_path, monkeypatch):
    """As awd compiles them, not as a stand-in."""
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    build = runpy.run_path(str(ROOT / "setup.py"))
    programs = []
    for isa in ("generic", "avx2", "avx512"):
        flags = (*build["FLAGS"], *build["OF_FILE"].get(f"{isa}.cpp", ()), "-static")
        programs.append(portable.program(tmp_path, "g++", *flags, isa=isa))
    flags_of_cpu, printed = bochs.run(tmp_path, *programs)
    assert {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags_of_cpu
    for program in programs:
        assert portable.as_digests(printed[program.name]) == GOLDEN["kernels"], program.name


@pytest.mark.skipif(not shutil.which("objdump"), reason="objdump is not installed")
def test_no_instruction_of_the_kernels_leaves_a_choice():
    """Approximations of 1/x and 1/sqrt(x) differ between makers of CPUs."""
    library = kernels._compiled.__file__
    words = ["objdump", "-d", "--no-show-raw-insn", library]
    code = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^ *[0-9a-f]+:\t(?:\w+ )?(\w+)", code, re.MULTILINE))
    assert any(name.startswith("vfmadd") for name in names) or "avx2" not in SETS
    assert not [name for name in names if re.match(r"v?(rcp|rsqrt|exp2)", name)]


@pytest.mark.skipif(not shutil.which("nm"), reason="nm is not installed")
def test_the_kernels_call_no_function_of_the_systems_mathematics():
    """Other versions of the library have other last digits."""
    words = ["nm", "-D", "--undefined-only", kernels._compiled.__file__]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    called = {line.split()[-1].partition("@")[0] for line in lines}
    assert "memcpy" in called
    assert not called & {
        f"{name}{kind}"
        for name in ("exp", "exp2", "expm1", "log", "log1p", "tanh", "pow", "fma")
        for kind in ("", "f")
    }


def test_sums_in_the_kernels_are_not_left_to_the_compiler():
    """It may choose the order of a reduction, which only of a maximum makes no difference."""
    sources = [*portable.KERNELS.glob("*.h"), *portable.KERNELS.glob("*.cpp")]
    found = [
        operation
        for path in sources
        for operation in re.findall(r"reduction\((\S+) *:", path.read_text("utf-8"))
    ]
    assert set(found) <= {"max", "min"}
    build = (ROOT / "setup.py").read_text("utf-8")
    assert "-ffp-contract=off" in build
    assert not re.search("-ffast-math|-fassociative-math|-Ofast|-funsafe-math", build)


ARM = ("aarch64-linux-gnu-g++", "qemu-aarch64")


@pytest.mark.skipif(
    not all(map(shutil.which, ARM)),
    reason="no AArch64 compiler and emulator (Debian: g++-aarch64-linux-gnu and qemu-user)",
)
def test_the_kernels_give_the_same_digests_on_aarch64(tmp_path):
    compiler, emulator = ARM
    program = portable.program(tmp_path, compiler, "-static")
    assert portable.digests_of_kernels(emulator, program) == GOLDEN["kernels"]


def test_an_unknown_instruction_set_is_an_error(monkeypatch):
    monkeypatch.setenv("AWD_ISA", "sse9")
    allowed = ", ".join(SETS)
    with pytest.raises(InputError, match=f"'sse9' is not .*; allowed are {allowed}"):
        kernels.usable(portable.CPU, torch.float32)


# which operations of torch take part ---------------------------------------------------------

EXACT = {
    # copies, views, and what is made without reading numbers
    *("as_strided", "cat", "clone", "constant_pad_nd", "copy_", "detach", "empty", "empty_like"),
    *("embedding", "fill_", "flip", "index", "index_put_", "lift_fresh", "new_empty", "t"),
    *("new_empty_strided", "new_zeros", "ones_like", "select", "slice", "slice_backward"),
    *("split", "squeeze", "stack", "unsqueeze", "view", "zero_", "zeros", "zeros_like", "_to_copy"),
    *("_unsafe_view", "_local_scalar_dense"),
    "index_put",  # the gradient of rows that are taken once each
    # a choice among numbers
    *("amin", "clamp_", "maximum", "ne", "where"),
    # a single rounding
    *("add", "add_", "div", "div_", "mul", "mul_", "neg", "reciprocal", "rsub", "sub", "sub_"),
    *("_foreach_add_", "_foreach_mul", "_foreach_mul_", "_foreach_sub", "_foreach_sub_"),
    "random_",  # draws integers
}
"""Operations of torch on floating point numbers that leave no choice of order or rounding."""
FACTORS = ("add", "add_", "sub", "sub_", "rsub", "_foreach_add_", "_foreach_sub", "_foreach_sub_")


class Watch(TorchDispatchMode):
    """Notes each operation on floating point numbers that is neither ours nor among EXACT."""

    def __init__(self):
        super().__init__()
        self.seen, self.bad = set(), set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [
            each
            for each in tree_flatten((args, kwargs, result))[0]
            if isinstance(each, torch.Tensor) and each.is_floating_point() and each.is_cpu
        ]
        space, name = operation._schema.name.split("::")
        if tensors and space == "aten":
            self.seen.add(name)
            if name not in EXACT:
                self.bad.add(name)
            elif name in FACTORS and (kwargs or {}).get("alpha", 1) != 1:
                self.bad.add(f"{name} with a factor")
        return result


@pytest.mark.parametrize("name", portable.TRAININGS)
def test_a_training_uses_no_operation_that_depends_on_the_cpu(name):
    with Watch() as watch:
        portable.trained(name)
    assert not watch.bad


@pytest.mark.parametrize("name", portable.EVALUATIONS)
def test_an_evaluation_uses_no_operation_that_depends_on_the_cpu(name):
    model, text = portable.trained("tied").model, as_stream(portable.corpus().test)
    with Watch() as watch:
        portable.EVALUATIONS[name](model, text)
    assert not watch.bad


@pytest.mark.parametrize(
    ("operation", "bad"),
    [
        (lambda values: values.sum(), {"sum"}),
        (lambda values: values.exp(), {"exp"}),
        (lambda values: values @ values, {"dot"}),
        (lambda values: values.add(values, alpha=0.3), {"add with a factor"}),
        (lambda values: values + values, set()),
        (lambda values: values.long().sum(), set()),
    ],
)
def test_the_watch_finds_what_depends_on_the_cpu(operation, bad):
    values = torch.ones(5)
    with Watch() as watch:
        operation(values)
    assert watch.bad == bad
