"""Moves in parameter space that leave the function of a network as it is: layers rescaled, hidden units permuted."""

import torch
from torch import Tensor

from sofim_lab.landscape.tree import Tree


def rescaled(tree: Tree, alpha: float | Tensor, *, layer: int = 0) -> Tree:
    r"""The units of a hidden layer scaled by α, and what they feed into by 1/α: with ReLU the same function.

        (W_l, b_l, W_{l+1}) → (αW_l, αb_l, W_{l+1}/α),    since max(0, αz) = α max(0, z) for α > 0

    Args:
        tree: Parameters of an `mlp`: weights and biases, layer by layer.
        alpha: α > 0, one number or one for each unit of the layer, shape (h,).
        layer: Which hidden layer, 0 the first.

    Returns:
        A new tree. The outputs are the same for ReLU alone; other activations are not homogeneous.

    Raises:
        ValueError: α is not positive and finite or of another shape, there is no such layer, or the tree is none of
            an mlp.

    Example:
        >>> tree = {"0.weight": torch.ones(1, 1), "0.bias": torch.ones(1), "2.weight": torch.ones(1, 1)}
        >>> [float(w) for w in rescaled(tree | {"2.bias": torch.ones(1)}, 2.0).values()]
        [2.0, 2.0, 0.5, 1.0]

    References:
        L. Dinh, R. Pascanu, S. Bengio and Y. Bengio, 2017, arXiv 1703.04933, §3.
    """
    weight, bias, after = _layer(tree, layer)
    factors = torch.as_tensor(alpha, dtype=tree[weight].dtype, device=tree[weight].device)
    units = len(tree[bias])
    if factors.shape not in ((), (units,)):
        raise ValueError(
            f"alpha has the shape {tuple(factors.shape)}: give one number, or one for each of {units} units"
        )
    if not bool((torch.isfinite(factors) & (factors > 0)).all()):
        raise ValueError(f"alpha={alpha!r} must be positive and finite: ReLU commutes with no other factor")
    rows = factors.expand(units)
    changed = {weight: rows[:, None] * tree[weight], bias: rows * tree[bias], after: tree[after] / rows}
    return _copy(tree, changed)


def permuted(tree: Tree, order: Tensor, *, layer: int = 0) -> Tree:
    """The units of a hidden layer in another order: the same function, whatever the activation.

    Args:
        tree: Parameters of an `mlp`.
        order: Which unit stands in each place, a permutation of 0, …, h − 1, shape (h,).
        layer: Which hidden layer, 0 the first.

    Returns:
        A new tree.

    Raises:
        ValueError: `order` is no permutation, there is no such layer, or the tree is none of an mlp.

    Example:
        >>> tree = {"0.weight": torch.tensor([[1.0], [2.0]]), "0.bias": torch.zeros(2), "2.weight": torch.ones(1, 2)}
        >>> permuted(tree | {"2.bias": torch.zeros(1)}, torch.tensor([1, 0]))["0.weight"]
        tensor([[2.],
                [1.]])
    """
    weight, bias, after = _layer(tree, layer)
    units = len(tree[bias])
    if sorted(order.tolist()) != list(range(units)):
        raise ValueError(f"order must be a permutation of 0, …, {units - 1}, got {order.tolist()}")
    return _copy(tree, {weight: tree[weight][order], bias: tree[bias][order], after: tree[after][:, order]})


def matched(tree: Tree, target: Tree, *, layer: int = 0) -> Tree:
    r"""The units of a hidden layer in the order in which they are most like those of another network.

    The permutation π maximises Σ_j ⟨θ_π(j), θ*_j⟩, θ_j the weights into, the bias of, and the weights out of unit j:
    a linear assignment, solved exactly. So π minimises the distance between the two points (for one hidden layer).

    Args:
        tree: The parameters to reorder.
        target: Those to be like, of the same shapes.
        layer: Which hidden layer, 0 the first.

    Returns:
        A new tree, the same function as before.

    Raises:
        ValueError: There is no such layer, or a tree is none of an mlp.

    Example:
        >>> tree = {"0.weight": torch.tensor([[1.0], [2.0]]), "0.bias": torch.zeros(2), "2.weight": torch.ones(1, 2)}
        >>> tree |= {"2.bias": torch.zeros(1)}
        >>> matched(permuted(tree, torch.tensor([1, 0])), tree)["0.weight"]
        tensor([[1.],
                [2.]])

    References:
        S. K. Ainsworth, J. Hayase and S. Srinivasa, 2023, arXiv 2209.04836, §3.2 (matching weights).
    """
    from scipy.optimize import linear_sum_assignment  # a fifth of a second that `import sofim_lab` need not pay

    weight, bias, after = _layer(tree, layer)
    ours, theirs = (torch.cat([t[weight], t[bias][:, None], t[after].mT], dim=1).double().cpu() for t in (tree, target))
    _, order = linear_sum_assignment((theirs @ ours.mT).numpy(), maximize=True)
    return permuted(tree, torch.from_numpy(order), layer=layer)


def _layer(tree: Tree, layer: int) -> tuple[str, str, str]:
    """Names of the weight and bias of a hidden layer, and of the weight behind it."""
    names = list(tree)
    hidden = len(names) // 2 - 1
    if len(names) % 2 or any(tree[name].dim() != 2 - place % 2 for place, name in enumerate(names)):
        raise ValueError(f"the tree must hold weights and biases in turn, as those of mlp(...), got {', '.join(names)}")
    if not 0 <= layer < hidden:
        raise ValueError(f"layer={layer} must lie in 0, …, {hidden - 1}: the network has {hidden} hidden layers")
    return names[2 * layer], names[2 * layer + 1], names[2 * layer + 2]


def _copy(tree: Tree, changed: Tree) -> Tree:
    """A tree of its own with some tensors replaced."""
    return {name: changed.get(name, tensor).clone() for name, tensor in tree.items()}
