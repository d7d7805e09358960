"""Optimizers compute as torch's own and load no compiler."""

import subprocess
import sys

import pytest
import torch

from awd.training import optimizers


@pytest.mark.parametrize(("kind", "settings"), [("SGD", {}), ("AdamW", {"weight_decay": 0.1})])
def test_steps_are_those_of_torch(kind, settings):
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2)]
    made = [getattr(place, kind) for place in (optimizers, torch.optim)]
    pairs = [make([weight], lr=0.1, **settings) for make, weight in zip(made, weights, strict=True)]
    for _ in range(3):
        for optimizer, weight in zip(pairs, weights, strict=True):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(*weights)


def test_the_optimizers_load_no_compiler():
    """It would take as long as all of torch, at the start of every training."""
    program = (
        "import sys, torch\nfrom awd.training import optimizers\n"
        "for make in (optimizers.SGD, optimizers.AdamW):\n"
        "    weight = torch.nn.Parameter(torch.ones(3))\n"
        "    optimizer = make([weight], lr=0.1)\n"
        "    weight.sum().backward()\n    optimizer.step()\n    optimizer.zero_grad()\n"
        "    optimizer.load_state_dict(optimizer.state_dict())\n"
        "    print(weight[0].item(), weight.grad, 'torch._dynamo' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    for line in answer.stdout.decode().splitlines():
        value, *rest = line.split()
        assert float(value) == pytest.approx(0.9, abs=2e-3)
        assert rest == ["None", "False"]
