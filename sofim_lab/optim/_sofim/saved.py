"""Saved states: what other versions, dtypes and devices have left out or cast."""

from typing import Any

import torch

from sofim_lab.optim._sofim.collect import Group, State, moment_dtype, step_dtype

# What a group of a version without the option did.
BEFORE = {
    "decoupled_weight_decay": False, "blocks": "global", "nonfinite": None, "maximize": False, "foreach": None,
    "capturable": False, "differentiable": False, "diagnostics": False,
}  # fmt: skip


def check_state_dict(state_dict: dict[str, Any]) -> None:
    """Raise unless it is SOFIM's."""
    for key, own in state_dict["state"].items():
        if own and "moment" not in own:
            raise ValueError(
                f"state_dict is not one of SOFIM: the state of parameter {key} has the keys {sorted(own)}, not "
                "'step' and 'moment'; load it into the optimizer that saved it"
            )


def complete(groups: list[Group], state: State) -> None:
    """Give groups the options that they were saved without, and steps the form that `capturable` needs."""
    for group in groups:
        for name, value in BEFORE.items():
            group.setdefault(name, value)
        for p in group["params"]:
            own = state.get(p)
            if own and group["capturable"]:
                own["step"] = torch.as_tensor(own["step"], dtype=step_dtype(), device=p.device)
            elif own:
                own["step"] = int(own["step"])


def restore_moments(groups: list[Group], state: State, state_dict: dict[str, Any]) -> None:
    """Load moments of low-precision parameters again: Optimizer.load_state_dict has cast them to the low precision."""
    ids = [key for group in state_dict["param_groups"] for key in group["params"]]
    params = [p for group in groups for p in group["params"]]
    for key, p in zip(ids, params, strict=True):
        own = state_dict["state"].get(key)
        if own and moment_dtype(p) != p.dtype:
            state[p]["moment"] = own["moment"].to(p.device, moment_dtype(p))
