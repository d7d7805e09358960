"""Optimizers and clipping: by the compiled kernels where those are usable, else torch's.

torch loads its compiler with the first optimizer, to keep it away from that, which takes as long
as to load all the rest. Nothing is compiled here, and many trainings are short.
"""

import inspect
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from awd.model import kernels
from awd.model.arithmetic import defined, norm, power
from awd.study.spec import RunSpec
from awd.vocabulary import Device, Stage

for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _method = inspect.unwrap(getattr(torch.optim.Optimizer, _name))
    _method.__dynamo_disable = _method  # where torch keeps what it has made with the compiler


def new_optimizer(
    spec: RunSpec, stage: str, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimizer of a ``stage`` before its first step.

    All parameters are in one group: one learning rate and one weight decay. Fine-tuning is SGD,
    whatever has trained; averaging is in awd.training.ntasgd.
    """
    device = parameters[0].device
    rules = {"lr": spec.learning_rate, "weight_decay": spec.weight_decay}
    adamw = stage == Stage.TRAIN and spec.optimizer == "adamw"
    if device.type == Device.CUDA:
        rules |= {"lr": torch.tensor(float(rules["lr"]), device=device), "fused": True}
        rules |= {"capturable": True} if adamw else {}
    return (AdamW if adamw else SGD)(parameters, **rules)


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


class Compiled(torch.optim.Optimizer):
    """An optimizer of torch that the kernels compute where they can: ``update``.

    Attributes:
        scale: a factor for the gradients of the next step, on a CPU.
        torchs_step: the step of torch's class.
    """

    scale = 1.0
    torchs_step: Callable

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            parameters = [each for each in group["params"] if each.grad is not None]
            if not defined(parameters[0]):
                self.torchs_step()
                return
            self.update(group, parameters, [each.grad for each in parameters])

    def update(self, group: dict, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Update ``parameters`` of a group, which have ``gradients``, by the kernels."""
        raise NotImplementedError


class SGD(Compiled, torch.optim.SGD):
    """torch's SGD without momentum."""

    torchs_step = _step_of(torch.optim.SGD)

    def update(self, group: dict, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Do as the base class says."""
        rate, decay = group["lr"], group["weight_decay"]
        kernels.operators.sgd(parameters, gradients, rate, decay, self.scale)


class AdamW(Compiled, torch.optim.AdamW):
    """torch's AdamW."""

    torchs_step = _step_of(torch.optim.AdamW)

    def update(self, group: dict, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Do as the base class says."""
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
