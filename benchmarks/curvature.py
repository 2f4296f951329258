"""The top of the Hessian's spectrum and its density on all 1,797 digits, in ratios to PyHessian in the same run.

    python benchmarks/curvature.py [--repeats 15] [--cnn-repeats 3] [--threads 2] [--only mlp cnn] [--dense]

Making the operator and finding the eigenpairs is timed together, all ways taking turns in random order; the ratios are
those of the medians. `confirm=False` leaves out the search for repeated eigenvalues, which the other two ways do not
have either. Residuals ‖Hv − λv‖/λ₁ are the largest of the k pairs, computed alike for all in float64.
PyHessian 0.1 (power iteration, tolerance 1e−3) runs with its defaults: `pip install --no-deps pyhessian==0.1` into an
environment of its own; without it there are seconds alone. `eigsh` is scipy's on our products, started as ours.
"""

import argparse
import copy
import random
import statistics
import time
from collections.abc import Callable

import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from sofim_lab.curvature import hessian, hessian_operator
from sofim_lab.curvature.spectrum import spectral_density, top_eigenpairs, trace
from sofim_lab.problems import load_digits, mlp

try:
    from pyhessian import hessian as PyHessian
except ImportError:
    PyHessian = None

LOSS = nn.CrossEntropyLoss()
Way = Callable[[nn.Module, Tensor, Tensor, int], Tensor]


def cnn(device: str) -> nn.Module:
    """Two convolutions and a linear layer, d = 9,930; the start depends on nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 32, 3, padding=1), nn.Tanh())
        model = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(512, 10))
    return model.to(device)


def trained(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    """The model after some full-batch steps of Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        LOSS(model(x), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model


def ours(model: nn.Module, x: Tensor, y: Tensor, k: int) -> Tensor:
    """Eigenvectors (d, k) of this library."""
    return top_eigenpairs(hessian_operator(model, LOSS, x, y), k).vectors


def unconfirmed(model: nn.Module, x: Tensor, y: Tensor, k: int) -> Tensor:
    """The same without a second look for repeated eigenvalues."""
    return top_eigenpairs(hessian_operator(model, LOSS, x, y), k, confirm=False).vectors


def scipy_eigsh(model: nn.Module, x: Tensor, y: Tensor, k: int) -> Tensor:
    """Eigenvectors (d, k) of ARPACK on our products."""
    A = hessian_operator(model, LOSS, x, y)

    def product(v: object) -> object:
        return (A @ torch.as_tensor(v).reshape(-1).to(A.device, A.dtype)).cpu().numpy()

    start = torch.randn(A.shape[0], generator=torch.Generator().manual_seed(0)).numpy()
    _, vectors = eigsh(LinearOperator(A.shape, product, dtype="float32"), k, which="LA", v0=start, tol=1e-5)
    return torch.from_numpy(vectors.copy()).to(A.device)


def pyhessian(model: nn.Module, x: Tensor, y: Tensor, k: int) -> Tensor:
    """Eigenvectors (d, k) of PyHessian with its defaults."""
    _, vectors = PyHessian(model, LOSS, data=(x, y), cuda=x.is_cuda).eigenvalues(top_n=k)
    return torch.stack([torch.cat([part.flatten() for part in vector]) for vector in vectors], dim=1)


WAYS: dict[str, Way] = {"top_eigenpairs": ours, "the same, confirm=False": unconfirmed, "eigsh": scipy_eigsh}
WAYS |= {"PyHessian": pyhessian} if PyHessian else {}


def residual(model: nn.Module, x: Tensor, y: Tensor, vectors: Tensor) -> float:
    """The largest ‖Hv − λv‖/λ₁ with Rayleigh's λ, in float64."""
    A = hessian_operator(copy.deepcopy(model).double(), LOSS, x.double(), y)
    v = vectors.double() / vectors.double().norm(dim=0)
    Av = torch.stack([A @ column for column in v.mT.contiguous()], dim=1)
    values = (v * Av).sum(0)
    return float((Av - v * values).norm(dim=0).max() / values.max())


def wait(device: str) -> None:
    """Let an accelerator finish what was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()


def compare(title: str, model: nn.Module, x: Tensor, y: Tensor, k: int, repeats: int, device: str) -> str:
    """One row a way: median and minimal seconds, ratio to PyHessian, residual."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    vectors: dict[str, Tensor] = {}
    for repeat in range(repeats + 1):
        for name in random.sample(list(WAYS), len(WAYS)):
            wait(device)
            start = time.perf_counter()
            vectors[name] = WAYS[name](model, x, y, k)
            wait(device)
            if repeat:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
            model.zero_grad()  # PyHessian leaves gradients behind
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    lines = []
    for name, value in medians.items():
        ratio = f"{value / medians['PyHessian']:.2f}" if "PyHessian" in medians else "-"
        worst = residual(model, x, y, vectors[name])
        lines.append(f"| {title} | {name} | {value:.4f} | {min(seconds[name]):.4f} | {ratio} | {worst:.0e} |")
    return "\n".join(lines)


def density_lines(model: nn.Module, x: Tensor, y: Tensor, dense: bool) -> str:
    """Seconds of trace and density; with the dense spectrum, their errors; what PyHessian's density does."""
    A = hessian_operator(model, LOSS, x, y)
    start = time.perf_counter()
    density = spectral_density(A)
    lines = [f"spectral_density, 100 steps, 5 probes: {time.perf_counter() - start:.2f} s"]
    start = time.perf_counter()
    estimate = trace(A, deflate=20)
    lines.append(
        f"trace, 30 probes, 20 deflated: {time.perf_counter() - start:.2f} s, "
        f"{estimate.value:.4f} ± {estimate.standard_error:.4f}"
    )
    if dense:
        H = hessian(model, LOSS, x, y)
        lines[0] += f", Wasserstein distance to the exact spectrum {density.wasserstein(torch.linalg.eigvalsh(H)):.1e}"
        lines[1] += f", exactly {float(H.trace()):.4f}"
    if PyHessian:
        start = time.perf_counter()
        try:
            PyHessian(model, LOSS, data=(x, y), cuda=x.is_cuda).density(iter=100, n_v=5)
            lines.append(f"PyHessian's density: {time.perf_counter() - start:.2f} s")
        except (AttributeError, RuntimeError) as error:
            lines.append(f"PyHessian's density: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="runs per median, MLP (default: %(default)s)")
    parser.add_argument("--cnn-repeats", type=int, default=3, help="runs per median, CNN (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=["mlp", "cnn"], default=["mlp", "cnn"], help="default: both")
    parser.add_argument("--dense", action="store_true", help="hold density and trace against the dense Hessian")
    arguments = parser.parse_args()
    if min(arguments.repeats, arguments.cnn_repeats, arguments.threads) < 1:
        parser.error("--repeats, --cnn-repeats and --threads must be at least 1")
    torch.set_num_threads(arguments.threads)
    random.seed(0)
    digits = load_digits(arguments.device)
    x = torch.cat([part.x for part in (digits.train, digits.val, digits.test)])
    y = torch.cat([part.y for part in (digits.train, digits.val, digits.test)])
    print(f"torch {torch.__version__}, {arguments.threads} threads, {arguments.device}")
    if PyHessian is None:
        print("PyHessian is not installed here: no ratios (see --help)")
    print("\n| problem | way | median s | fastest s | ratio | residual |\n|---|---|---|---|---|---|")
    for steps in (0, 50) if "mlp" in arguments.only else ():
        model = trained(mlp(device=arguments.device), x, y, steps)
        title = f"MLP 64-64-10 after {steps} steps, top 5"
        print(compare(title, model, x, y, 5, arguments.repeats, arguments.device), flush=True)
    for steps in (0, 20) if "cnn" in arguments.only else ():
        convolutional = trained(cnn(arguments.device), x, y, steps)
        title = f"CNN after {steps} steps, top 2"
        print(compare(title, convolutional, x, y, 2, arguments.cnn_repeats, arguments.device), flush=True)
    if "mlp" in arguments.only:
        print("\n" + density_lines(model, x, y, arguments.dense), flush=True)


if __name__ == "__main__":
    main()
