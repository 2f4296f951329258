"""What each of two processes of the sharded test does: train every case with FSDP2 and with DDP, save the ends."""

import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from sofim_lab import SOFIM

STEPS = 20
CASES = {
    "momentum": {},
    "gradient": {"direction": "gradient", "lr": 0.05},
    "L2": {"direction": "gradient", "lr": 0.05, "weight_decay": 0.1},
    "each tensor": {"blocks": "tensor", "lr": 0.1},
    "capturable": {"direction": "gradient", "lr": 0.05, "capturable": True, "diagnostics": True},
    "skip": {"nonfinite": "skip", "diagnostics": True},
}
DTYPES = {"float64": torch.float64, "float32": torch.float32}


def train(dtype, options, wrap=lambda model: model, rows=slice(None), poison=None):
    """Twenty steps on each batch or this process's rows of it, with two groups of one common norm."""
    torch.manual_seed(0)
    # Nine and seven rows do not divide by two, and the last bias leaves one process nothing.
    model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 1)).to(dtype)
    wrapped = wrap(model)
    first, *rest = list(model.parameters())
    optimizer = SOFIM([{"params": [first], "rho": 0.7}, {"params": rest}], **{"lr": 0.5, "rho": 0.3} | options)
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        x = torch.randn(8, 5, generator=generator, dtype=torch.float64).to(dtype)
        y = x[:, :1].sin()
        if step == poison:
            y = y.clone()
            y[0] = torch.nan
        optimizer.zero_grad()
        nn.functional.mse_loss(wrapped(x[rows]), y[rows]).backward()
        optimizer.step()
    return model, optimizer


def summary(model, optimizer):
    """All parameters as one vector, and the last record."""
    parameters = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
    vector = torch.cat([p.detach().reshape(-1) for p in parameters])
    return vector, tuple(x.item() for r in optimizer.records[-1:] for x in r)


def step_given(place=lambda x: x):
    """Three steps on given gradients; `place` says where tensors live."""
    generator = torch.Generator().manual_seed(2)
    p = nn.Parameter(place(torch.randn(6, 3, generator=generator, dtype=torch.float64)))
    optimizer = SOFIM([p], rho=0.1)
    for _ in range(3):
        p.grad = place(torch.randn(6, 3, generator=generator, dtype=torch.float64))
        optimizer.step()
    return p


def poison_of(case):
    """The step whose gradient is not finite, in the case that leaves it out."""
    return 3 if case == "skip" else None


def main(rank, store, results):
    """One of the two processes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    mesh = init_device_mesh("cpu", (2,))
    rows = slice(0, 4) if rank == 0 else slice(4, 8)

    def fsdp(model):
        for part in (*model.children(), model):
            fully_shard(part, mesh=mesh)
        return model

    ends = {}
    for name, dtype in DTYPES.items():
        for case, options in CASES.items():
            for kind, wrap in (("fsdp", fsdp), ("ddp", nn.parallel.DistributedDataParallel)):
                ends[kind, name, case] = summary(*train(dtype, options, wrap, rows, poison_of(case)))
    for placement in (Replicate(), Shard(0), Shard(1)):
        p = step_given(lambda x, placement=placement: distribute_tensor(x, mesh, [placement]))
        ends["given", str(placement)] = p.full_tensor().detach()
    if rank == 0:
        torch.save(ends, results)
    dist.destroy_process_group()
    os._exit(0)  # as `launch` does: on a busy machine gloo's threads could abort a process that leaves in the usual way


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
