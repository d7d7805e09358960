"""Says whether the compiled kernels are there; for the end of an installation."""

from awd.model.kernels import operators

print(
    "awd: compiled kernels", "are in place" if operators else "were not built: training is slower"
)
