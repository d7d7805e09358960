"""Adds the optional kernels of awd/kernels to what pyproject.toml describes."""

import platform

from setuptools import Extension, setup

try:
    from torch.utils.cpp_extension import include_paths, library_paths
except ImportError:  # an isolated build, which has no torch: awd works without the kernels
    kernels = []
else:
    # Without these two, gcc makes no vector instructions of comparisons and of math functions.
    flags = ["-fno-math-errno", "-fno-trapping-math"]
    if platform.machine() == "x86_64":
        flags.append("-mprefer-vector-width=512")
    kernels = [
        Extension(
            "awd.kernels._compiled",
            ["awd/kernels/compiled.cpp"],
            depends=["awd/kernels/packed.h", "awd/kernels/pointwise.h"],
            include_dirs=include_paths(),
            library_dirs=library_paths(),
            libraries=["c10", "torch_cpu"],
            extra_compile_args=["-std=c++20", "-O3", "-g0", "-fopenmp-simd", *flags],
            optional=True,  # a failure to compile is a warning
        )
    ]

setup(ext_modules=kernels)
