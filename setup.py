"""Adds the optional kernels of awd/model/kernels to what pyproject.toml describes."""

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
            "awd.model.kernels._compiled",
            ["awd/model/kernels/compiled.cpp"],
            depends=["awd/model/kernels/packed.h", "awd/model/kernels/pointwise.h"],
            include_dirs=include_paths(),
            library_dirs=library_paths(),
            libraries=["c10", "torch_cpu"],
            extra_compile_args=["-std=c++20", "-O3", "-g0", "-fopenmp-simd", *flags],
            optional=True,  # a failure to compile is a warning
        )
    ]

setup(ext_modules=kernels)
