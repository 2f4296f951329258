"""Which way to compute a slice: chosen by the structure of the model, the data and the device, never by the clock.

| name | for | measured on a CPU against the plain loop |
|---|---|---|
| mlp | Sequential of Linear and elementwise layers, cross-entropy or squared error | 3 to 6 times as fast |
| stacked | what vmap takes, on up to 128 samples (no convolutions), or an accelerator | 1.4 to 3 times, slower above |
| first_layer | a first layer that is a convolution or has many inputs | 1.1 to 1.3 times, more for many inputs |
| loop | everything | 1 |

All give the same numbers up to rounding, and a choice that depended on the clock would not give the same bytes twice.
"""

from collections.abc import Callable

from sofim_lab.landscape import first_layer, loop, mlp, stacked
from sofim_lab.landscape.grid import Evaluate
from sofim_lab.landscape.scene import Scene

METHODS: dict[str, Evaluate] = {
    "mlp": mlp.evaluate,
    "stacked": stacked.evaluate,
    "first_layer": first_layer.evaluate,
    "loop": loop.evaluate,
}
_APPLIES: dict[str, Callable[[Scene], bool]] = {
    "mlp": mlp.applies,
    "stacked": stacked.applies,
    "first_layer": first_layer.applies,
    "loop": lambda scene: True,
}
_PAYS: dict[str, Callable[[Scene], bool]] = {"stacked": stacked.pays, "first_layer": first_layer.pays}


def choose(scene: Scene, method: str) -> str:
    """The name of the way to compute this scene.

    Args:
        scene: What is to be evaluated.
        method: "auto" or a name, which is refused where it does not apply.

    Raises:
        ValueError: An unknown name, or one that does not apply to this model and these data.
    """
    if method == "auto":
        tensors = scene.tensors is not None
        return next(n for n in METHODS if (n not in _PAYS or (tensors and _PAYS[n](scene))) and _APPLIES[n](scene))
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose 'auto' or one of {', '.join(map(repr, METHODS))}")
    if not _APPLIES[method](scene):
        raise ValueError(f"method={method!r} does not apply to this model, loss and data: choose 'auto' or 'loop'")
    return method
