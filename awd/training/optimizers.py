"""Optimizers of torch, less its compiler.

torch loads the compiler with the first optimizer, to keep it away from that, which takes as long
as to load all the rest. Nothing is compiled here, and many trainings are short.
"""

import inspect

import torch

for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _method = inspect.unwrap(getattr(torch.optim.Optimizer, _name))
    _method.__dynamo_disable = _method  # where torch keeps what it has made with the compiler


def _plain(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"step": step, "__doc__": kind.__doc__})


SGD = _plain(torch.optim.SGD)
AdamW = _plain(torch.optim.AdamW)
