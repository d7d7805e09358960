"""Clipping, SGD and AdamW: by the compiled kernels where those are usable, else torch's.

torch loads its compiler with the first optimizer, to keep it away from that, which takes as long
as to load all the rest. Nothing is compiled here, and many trainings are short.
"""

import inspect
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from awd.model import kernels
from awd.model.arithmetic import defined, norm, power

for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _method = inspect.unwrap(getattr(torch.optim.Optimizer, _name))
    _method.__dynamo_disable = _method  # where torch keeps what it has made with the compiler


def clip(parameters: Iterable[Tensor], limit: float) -> float:
    """Bring the Euclidean length of all gradients together down to ``limit``, if it is longer.

    Returns the factor by which the optimizer is yet to multiply the gradients: this saves a pass
    over them.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    if not defined(with_gradient[0]):
        torch.nn.utils.clip_grad_norm_(with_gradient, limit)
        return 1.0
    length = norm([parameter.grad for parameter in with_gradient])
    return min(1.0, limit / (length + 1e-6))


def _step_of(kind: type[torch.optim.Optimizer]):
    return torch.no_grad()(inspect.unwrap(kind.step))


class SGD(torch.optim.SGD):
    """torch's; ``scale`` is a factor for the gradients of the next step, on a CPU."""

    scale = 1.0
    torchs_step = _step_of(torch.optim.SGD)

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            parameters, gradients = _updated(group)
            if not defined(parameters[0]):
                self.torchs_step()
                return
            kernels.operators.sgd(
                parameters, gradients, group["lr"], group["weight_decay"], self.scale
            )


class AdamW(torch.optim.AdamW):
    """torch's; ``scale`` is a factor for the gradients of the next step, on a CPU."""

    scale = 1.0
    torchs_step = _step_of(torch.optim.AdamW)

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            parameters, gradients = _updated(group)
            if not defined(parameters[0]):
                self.torchs_step()
                return
            states = [self._state_of(parameter) for parameter in parameters]
            rate, (beta1, beta2) = group["lr"], group["betas"]
            # Weights whose word or cluster had no gradient so far have made fewer steps.
            for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
                state["step"] += 1
                steps = int(state["step"])
                rule = [rate, group["weight_decay"], self.scale, beta1, beta2, group["eps"]]
                rule += [rate / (1 - power(beta1, steps)), math.sqrt(1 - power(beta2, steps))]
                mean, square = [state["exp_avg"]], [state["exp_avg_sq"]]
                kernels.operators.adamw([parameter], [gradient], mean, square, rule)

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


def _updated(group: dict) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters of ``group`` that have a gradient, and their gradients."""
    parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
    return parameters, [parameter.grad for parameter in parameters]
