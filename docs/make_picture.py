"""Draws docs/picture.png, the figure of the README: `python docs/make_picture.py`."""

from pathlib import Path

import torch

from sofim_lab import SOFIM
from sofim_lab.curvature import cancellation_table
from sofim_lab.plots import new_axes, picture, plot_cancellation, plot_race, set_title
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import race

left, right = new_axes(2, width=11.0, height=3.8)
plot_cancellation(cancellation_table([10.0**-k for k in range(9)], d=1000, dtype=torch.float32, seed=0), left)
set_title(left, "one formula, three ways to write it (float32)")
field = {f"ρ = {rho:g}": lambda p, rho=rho: SOFIM(p, rho=rho) for rho in (0.1, 0.5, 5.0)}
runs = race(lambda seed: mlp((64, 32, 10), seed=seed, device="cpu"), load_digits("cpu"), field, seeds=(0, 1, 2))
plot_race(runs, "train_loss", right)
set_title(right, "SOFIM on real digits, η = 1, three seeds")
Path(__file__).with_name("picture.png").write_bytes(picture(left, "See the README.").png)
