"""The likelihood that a loss module names, and every input that names none or does not fit."""

import pytest
import torch
from curvature_cases import CLASSES, WIDE, data, mlp, seeded
from torch import nn

from sofim_lab.curvature import (
    empirical_fisher,
    fisher,
    fisher_operator,
    ggn,
    hessian,
    hessian_operator,
    likelihood_of,
    memory,
    per_sample_gradients,
)

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
WITH_LABELS = [empirical_fisher, ggn, hessian, hessian_operator, per_sample_gradients]


def network():
    return seeded(lambda: mlp(nn.Tanh))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.MSELoss])
def test_losses_and_scale_give_the_loss_of_the_module(kind, reduction):
    loss_fn = kind(reduction=reduction)
    _, y = data(loss_fn)
    f = torch.randn(7, CLASSES, dtype=WIDE, generator=torch.Generator().manual_seed(0))
    likelihood = likelihood_of(loss_fn)
    assert likelihood.reduction == reduction
    total = likelihood.scale(7, CLASSES) * likelihood.losses(f, y).sum()
    torch.testing.assert_close(total, loss_fn(f, y), rtol=1e-14, atol=0)


@pytest.mark.parametrize("loss_fn", [CE, MSE], ids=["categorical", "Gaussian"])
def test_the_expected_outer_product_is_the_hessian_of_the_loss(loss_fn, request):
    likelihood = likelihood_of(loss_fn)
    assert likelihood.name in request.node.name
    _, y = data(loss_fn)
    f = 3 * torch.randn(7, CLASSES, dtype=WIDE, generator=torch.Generator().manual_seed(0))
    rows, exact = likelihood.score_rows(f), likelihood.hessians(f, y)
    torch.testing.assert_close(rows.mT @ rows, exact, rtol=1e-12, atol=1e-14)
    u = torch.randn(2, 7, CLASSES, dtype=WIDE, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(likelihood.expected_outer(f, u), (exact @ u[..., None])[..., 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("loss_fn", "kind", "words"),
    [
        (nn.CrossEntropyLoss(weight=torch.ones(3)), ValueError, r"class weights \(weight=\[1.0, 1.0, 1.0\]\)"),
        (nn.CrossEntropyLoss(ignore_index=1), ValueError, "ignore_index=1: drop those samples"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), ValueError, "label_smoothing=0.1"),
        (nn.CrossEntropyLoss(reduction="none"), ValueError, "reduction='none'.*use reduction='mean' or 'sum'"),
        (nn.MSELoss(reduction="none"), ValueError, "reduction='none'"),
        (nn.L1Loss(), TypeError, "instance of nn.CrossEntropyLoss or nn.MSELoss, got L1Loss"),
        (nn.functional.mse_loss, TypeError, "got function"),
        (nn.MSELoss, TypeError, "got the class MSELoss"),
    ],
)
def test_losses_that_name_no_likelihood_here(loss_fn, kind, words):
    x, y = data(CE)
    with pytest.raises(kind, match=words):
        fisher(network(), loss_fn, x)
    with pytest.raises(kind, match=words):
        hessian_operator(network(), loss_fn, x, y)


@pytest.mark.parametrize("call", WITH_LABELS)
@pytest.mark.parametrize(
    ("loss_fn", "y", "words"),
    [
        (CE, torch.zeros(6, dtype=torch.long), "x has 7 samples and y has 6"),
        (CE, torch.tensor([0, 1, 2, 3, 0, 1, 2]), r"y must lie in 0 … 2, the model has 3 outputs.*from 0 to 3"),
        (CE, torch.tensor([0, 1, 2, -1, 0, 1, 2]), r"from -1 to 2"),
        (CE, torch.tensor([0, 1, 2, -100, 0, 1, 2]), "y holds -100, the loss's ignore_index: drop those samples"),
        (CE, torch.zeros(7), r"one class index per sample.*got torch.float32"),
        (CE, torch.zeros(7, 3, dtype=torch.long), r"of shape \(7, 3\).*argmax"),
        (CE, torch.zeros(7, dtype=torch.long, device="meta"), "model is on cpu, y on meta"),
        (MSE, torch.zeros(7, dtype=WIDE), r"shape of the model's outputs, \(7, 3\).*got \(7,\): reshape"),
        (MSE, torch.zeros(7, 3), r"dtype of the model's outputs, torch.float64.*got torch.float32"),
    ],
)
def test_labels_that_do_not_fit(call, loss_fn, y, words):
    x, _ = data(CE)
    with pytest.raises(ValueError, match=words):
        call(network(), loss_fn, x, y)


def test_labels_may_be_of_any_integer_type():
    x, y = data(CE)
    assert torch.equal(hessian(network(), CE, x, y.to(torch.uint8)), hessian(network(), CE, x, y))


class Wrapped(nn.Module):
    """A network with something done to its input and its outputs."""

    def __init__(self, after=lambda f: f):
        super().__init__()
        self.net, self.after = mlp(nn.Tanh), after

    def forward(self, x):
        return self.after(self.net(x))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Wrapped(lambda f: f[:, 0]), r"outputs of shape \(n, C\), got the shape \(2,\) for n = 2"),
        (lambda: Wrapped(lambda f: f[:, None]), r"got the shape \(2, 1, 3\)"),
        (lambda: Wrapped(lambda f: (f, f)), "got tuple"),
        (lambda: Wrapped(lambda f: f.sum(0, keepdim=True)), r"got the shape \(1, 3\) for n = 2"),
        (lambda: Wrapped(torch.Tensor.detach), "the loss does not depend on the parameters net.0.weight"),
        (lambda: Wrapped(nn.functional.dropout), "the forward pass of Wrapped draws random numbers"),
        (lambda: Wrapped(lambda f: f - f.mean(0)), "one sample depend on the other samples"),
        (lambda: mlp(nn.Tanh).requires_grad_(False), "no trainable parameters"),
        (nn.Flatten, "no trainable parameters"),
    ],
)
def test_models_without_a_curvature(build, words):
    x, y = data(CE)
    model = seeded(build)
    random = torch.get_rng_state()
    for call in (lambda: fisher(model, CE, x), lambda: hessian(model, CE, x, y), lambda: fisher_operator(model, CE, x)):
        with pytest.raises(ValueError, match=words):
            call()
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("sample", [0, -1])
@pytest.mark.parametrize("loss_fn", [CE, MSE], ids=["categorical", "Gaussian"])
def test_a_sample_that_is_not_finite_makes_the_matrix_nan_whichever_it_is(loss_fn, sample, bad):
    x, y = data(loss_fn)
    x[sample, 0] = bad
    model = seeded(lambda: nn.Linear(x.shape[1], CLASSES))
    assert fisher(model, loss_fn, x).isnan().any()
    assert hessian(model, loss_fn, x, y).isnan().any()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.BatchNorm1d(4), r"model\.1 is a BatchNorm1d in training mode.*model\.eval\(\)"),
        (nn.BatchNorm1d(4, track_running_stats=False).eval(), "without running statistics.*GroupNorm"),
        (nn.Dropout(), r"model\.1 is a Dropout in training mode, which draws random numbers.*model\.eval\(\)"),
        (nn.AlphaDropout(0.1), "AlphaDropout in training mode"),
        (nn.RReLU(), "RReLU in training mode"),
        (nn.Sequential(nn.Identity(), nn.Dropout()), r"model\.1\.1 is a Dropout"),
        (nn.MultiheadAttention(4, 1, dropout=0.1), r"model\.1 is a MultiheadAttention in training"),
        (nn.LSTM(4, 4, num_layers=2, dropout=0.1), "LSTM in training mode"),
        (nn.InstanceNorm1d(4, track_running_stats=True), "InstanceNorm1d.*updates its running statistics"),
        (nn.LazyLinear(4), r"the parameter 1.weight of a lazy module has no shape yet: run model\(x\)"),
    ],
)
def test_modules_that_mix_samples_or_are_random(module, words):
    model = nn.Sequential(nn.Linear(4, 4), module, nn.Linear(4, 3))
    x, y = data(CE, dtype=torch.float32)
    for call in (lambda: fisher(model, CE, x), lambda: hessian_operator(model, CE, x, y)):
        with pytest.raises(ValueError, match=words):
            call()


def frozen_bias(model):
    model[0].bias.requires_grad_(False)
    return [model[0].bias]


@pytest.mark.parametrize(
    ("choose", "kind", "words"),
    [
        (lambda m: [], ValueError, "params is empty"),
        (lambda m: m[0].weight, TypeError, r"got one tensor: pass \[tensor\]"),
        (lambda m: [m[0].weight, nn.Parameter(torch.ones(2))], ValueError, r"params\[1\] \(shape \(2,\)\) is not a"),
        (lambda m: ["0.weight"], ValueError, r"params\[0\] \(str\) is not a parameter of model"),
        (lambda m: [m[0].bias, m[0].bias], ValueError, r"params\[1\], 0.bias, occurs twice"),
        (frozen_bias, ValueError, r"params\[0\], 0.bias, is frozen"),
    ],
)
def test_choices_of_parameters_that_are_none(choose, kind, words):
    model = network()
    x, _ = data(CE)
    with pytest.raises(kind, match=words):
        fisher(model, CE, x, params=choose(model))


def test_parameters_that_the_loss_does_not_depend_on():
    model = network()
    model.idle = nn.Parameter(torch.ones(2, dtype=WIDE))
    model.forward = lambda x: model[2](model[1](model[0](x)))
    x, _ = data(CE)
    with pytest.raises(ValueError, match="the loss does not depend on the parameters idle"):
        fisher(model, CE, x, params=[model.idle])


def test_inputs_that_are_none():
    x, _ = data(CE)
    with pytest.raises(TypeError, match=r"model must be an nn.Module, got function"):
        fisher(lambda x: x, CE, x)
    with pytest.raises(TypeError, match=r"x must be a tensor, got ndarray: use torch.as_tensor\(x\)"):
        fisher(network(), CE, x.numpy())
    with pytest.raises(TypeError, match="y must be a tensor, got NoneType"):
        hessian(network(), CE, x, None)
    with pytest.raises(ValueError, match="x must hold at least one sample"):
        fisher(network(), CE, x[:0])
    with pytest.raises(ValueError, match=r"model is on cpu, x on meta: move one, e.g. x.to\('cpu'\)"):
        fisher(network(), CE, x.to("meta"))
    with pytest.raises(ValueError, match="chunk_bytes must be at least 1, got 0"):
        fisher(network(), CE, x, chunk_bytes=0)
    mixed = network()
    mixed[2].float()
    with pytest.raises(ValueError, match=r"share one dtype, 0.weight is torch.float64 and 2.weight torch.float32"):
        fisher(mixed, CE, x)
    mixed[2].to("meta")
    with pytest.raises(ValueError, match="the model must lie on one device"):
        fisher(mixed, CE, x, params=mixed[0].parameters())
    with pytest.raises(ValueError, match=r"must be real floating point, weight is torch.complex64"):
        fisher(nn.Linear(4, 3, dtype=torch.complex64), CE, x)


@pytest.mark.parametrize("call", [fisher, empirical_fisher, ggn, hessian])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, r"12 d²"), (WIDE, r"27 d²")])
def test_dense_matrices_that_are_too_large_are_refused_before_they_are_allocated(call, dtype, size, monkeypatch):
    model = nn.Linear(2500, 2, dtype=dtype)  # d = 5,002
    x, y = data(CE, (2500,), n=2, classes=2, dtype=dtype)
    arguments = (x,) if call is fisher else (x, y)
    monkeypatch.setattr(torch, "zeros", None)
    instead = rf"d = 5,002 parameters.*{size}.*use {call.__name__}_operator"
    with pytest.raises(ValueError, match=rf"{instead}|above max_d=5,000"):
        call(model, CE, *arguments)
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**8)
    with pytest.raises(MemoryError, match=r"d = 5,002 .*only 100.0 MB are free on cpu.*_operator"):
        call(model, CE, *arguments, max_d=None)


def test_the_message_of_a_matrix_that_is_too_large():
    with pytest.raises(ValueError, match=r"d = 20,000 parameters needs about 4.8 GB \(12 d² bytes in torch.float32\)"):
        memory.check_dense_size(20_000, torch.float32, torch.device("cpu"), instead="fisher_operator")
    memory.check_dense_size(5000, torch.float32, torch.device("cpu"), max_d=5000, instead="fisher_operator")


def test_without_linux_estimate_the_free_pages_count(monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(memory.Path, "read_text", absent)
    monkeypatch.setattr(memory.os, "sysconf", {"SC_AVPHYS_PAGES": 30, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert memory._free_on_machine() == 30 * 4096
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory._free_on_machine() is None


def test_free_memory_is_that_of_the_machine_or_of_its_container(tmp_path, monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    machine = memory.free_memory(cpu)
    assert machine is None or machine > 2**20
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._free_in_container() is None
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.free_memory(cpu) == 4000
    monkeypatch.setattr(memory, "_free_on_machine", lambda: 3000)
    assert memory.free_memory(cpu) == 3000
    monkeypatch.setattr(memory, "_free_on_machine", lambda: None)
    (tmp_path / "memory.max").unlink()
    assert memory.free_memory(cpu) is None
    assert memory.free_memory(torch.device("meta")) is None
