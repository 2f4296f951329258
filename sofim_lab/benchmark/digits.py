"""The protocols on the digits: the full one, a quick one for the lesson, and a tiny one for tests."""

from sofim_lab.benchmark.protocol import Protocol, Task, targets

RIVALS = ("SGD momentum", "L-BFGS", "AdaHessian", "NystromSGD")
CONTROLS = ("constant-rate mean", "clipped mean", "normalised mean", "SOFIM without moment")


# The targets are those of the pilot, see benchmarks/PROTOCOL.md; `sofim-lab bench --pilot` measures them anew.
_MLP = Task("digits", "mlp", targets=targets(0.020, 0.12, 0.980, 0.096))

DIGITS = Protocol(
    name="full",
    tasks=(
        Task("digits", "logreg", targets=targets(0.16, 0.21, 0.960, 0.16)),
        _MLP,
        Task("digits", "cnn", epochs=20, targets=targets(0.0068, 0.070, 0.975, 0.039)),
        Task("digits-ill-conditioned", "logreg", targets=targets(0.52, 0.54, 0.890, 0.55)),
        Task("digits-ill-conditioned", "mlp", targets=targets(0.093, 0.22, 0.940, 0.21)),
        Task("digits-noisy", "mlp", targets=targets(0.93, 0.40, 0.950, 0.35)),
        Task("digits", "mlp", "sorted_by_class", targets=targets(0.44, 0.51, 0.850, 0.44)),
        Task("digits", "mlp", "dirichlet", targets=targets(0.18, 0.27, 0.920, 0.19)),
    ),
    optimizers=("SOFIM", "SOFIM gradient", "SGD", "Adam", *RIVALS, *CONTROLS),
    configurations=16,
    tuning_seeds=(800, 801),
    final_seeds=tuple(range(9)),
    studied=_MLP,
    scanned=("SOFIM", "SGD momentum", "Adam", "constant-rate mean", "clipped mean"),
    factors=(0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    scan_seeds=tuple(range(9)),
)

_QUICK = Task("digits", "mlp", epochs=10, targets=targets(0.11, 0.21, 0.950, 0.15))
_QUICK_SHIFTED = Task("digits", "mlp", "dirichlet", epochs=10, targets=targets(0.97, 1.1, 0.650, 0.99))

DIGITS_QUICK = Protocol(
    name="quick",
    tasks=(_QUICK, _QUICK_SHIFTED),
    optimizers=("SOFIM", "SGD momentum", "Adam", "NystromSGD", *CONTROLS),
    configurations=4,
    tuning_seeds=(800,),
    final_seeds=tuple(range(5)),
    studied=_QUICK,
    scanned=("SOFIM", "SGD momentum", "clipped mean"),
    factors=(0.0625, 0.25, 1.0, 4.0, 16.0),
    scan_seeds=(0,),
)

_TINY = Task("digits", "mlp", epochs=2, targets=targets(1.0, 1.0, 0.8, 1.0))

TINY = Protocol(
    name="tiny",
    tasks=(_TINY,),
    optimizers=("SOFIM", "SGD momentum", "SOFIM without moment"),
    configurations=2,
    tuning_seeds=(800,),
    final_seeds=(0, 1, 2),
    studied=_TINY,
    scanned=("SOFIM",),
    factors=(0.5, 1.0),
    scan_seeds=(0,),
)
