"""The protocol on MNIST: that of the digits with larger batches, fewer epochs and seeds, which two cores can pay."""

from sofim_lab.benchmark.digits import DIGITS
from sofim_lab.benchmark.protocol import Protocol, Task, targets

MNIST = Protocol(
    name="mnist",
    tasks=(
        Task("mnist", "logreg", epochs=10, batch_size=128, targets=targets(0.27, 0.29, 0.920, 0.29)),
        Task("mnist", "mlp", epochs=10, batch_size=128, targets=targets(0.050, 0.095, 0.965, 0.099)),
    ),
    optimizers=tuple(name for name in DIGITS.optimizers if name != "L-BFGS"),  # as costly as all others together
    configurations=DIGITS.configurations,
    tuning_seeds=(800,),
    final_seeds=tuple(range(5)),
)
