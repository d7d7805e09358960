"""Optimizers compute as torch's own and load no compiler."""

import subprocess
import sys

import pytest
import torch

from awd.study.spec import RunSpec
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


@pytest.mark.parametrize(
    ("optimizer", "stage", "kind"),
    [
        ("sgd", "train", "SGD"),
        ("nt-asgd", "train", "SGD"),
        ("adamw", "train", "AdamW"),
        ("adamw", "finetune", "SGD"),
    ],
)
def test_a_stage_has_the_optimizer_of_its_spec_and_fine_tuning_is_sgd(optimizer, stage, kind):
    spec = RunSpec(corpus="ptb", optimizer=optimizer, weight_decay=0.2, learning_rate=3)
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    made = optimizers.new_optimizer(spec, stage, weights)
    assert type(made) is getattr(optimizers, kind)
    (group,) = made.param_groups
    assert (group["params"], group["lr"], group["weight_decay"]) == (weights, 3, 0.2)


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
