"""Adds to pyproject.toml the kernels of awd/model/kernels, and the workflow as data of awd."""

import platform
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

try:
    from torch.utils.cpp_extension import include_paths, library_paths
except ImportError:  # an isolated build, which has no torch: awd works without the kernels
    include_paths = None

FOLDER = Path("awd/model/kernels")
# The compiler must not fuse products and sums where it likes; the kernels say where. Without the
# next two, gcc makes no vector instructions of comparisons and of math functions.
FLAGS = ["-std=c++20", "-O3", "-g0", "-fopenmp-simd", "-ffp-contract=off"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
OF_FILE = {}
if platform.machine() in ("x86_64", "AMD64"):
    OF_FILE["avx2.cpp"] = ["-mavx2", "-mfma"]
    OF_FILE["avx512.cpp"] = [
        *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"),
        "-mprefer-vector-width=512",
    ]


class Build(build_ext):
    """Compiles each file with the flags of its instruction set."""

    def build_extension(self, extension):
        """Compile and link ``extension``."""
        compile_one = self.compiler._compile

        def compile_with(target, source, suffix, flags, extra, preprocessor):
            extra = [*extra, *OF_FILE.get(Path(source).name, [])]
            compile_one(target, source, suffix, flags, extra, preprocessor)

        self.compiler._compile = compile_with
        super().build_extension(extension)


kernels = []
if include_paths is not None:
    kernels.append(
        Extension(
            "awd.model.kernels._compiled",
            sorted(str(path) for path in FOLDER.glob("*.cpp")),
            depends=[str(path) for path in FOLDER.glob("*.h")],
            include_dirs=include_paths(),
            library_dirs=library_paths(),
            libraries=["c10", "torch_cpu"],
            extra_compile_args=FLAGS,
            optional=True,  # a failure to compile is a warning
        )
    )

# An installed awd has in it what a clone has beside it; awd/places.py finds both. pyproject.toml
# names the files.
DATA = {"awd.workflow": "workflow", "awd.config": "config"}
setup(
    packages=[*find_packages(include=["awd*"]), *DATA],
    package_dir=DATA,
    ext_modules=kernels,
    cmdclass={"build_ext": Build},
)
