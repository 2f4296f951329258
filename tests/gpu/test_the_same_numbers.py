"""On a CUDA device everything gives the numbers that it gives on the CPU: in float64, up to the order of sums."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from sofim_lab import SOFIM, curvature, landscape
from sofim_lab.benchmark import TINY, measure_costs, run
from sofim_lab.federated import LocalWork, Privacy, dirichlet_split, fed_avg, fed_sofim, federate
from sofim_lab.optim import registry
from sofim_lab.problems import build_model, load_dataset, mlp, streams
from sofim_lab.training import Configuration, draw, sweep, train, train_many

pytestmark = pytest.mark.gpu
CE = nn.CrossEntropyLoss()
WIDE = torch.float64
DRAWS = ("AdaHessian", "NystromSGD")  # from the device's own random numbers
SMALL = {"LowRankFisher": {"k": 4}, "NystromSGD": {"rank": 3}}
close = partial(torch.testing.assert_close, rtol=1e-8, atol=1e-10)


def digits(device, dtype=WIDE):
    return load_dataset("digits", device, dtype)


def network(device, sizes=(64, 6, 10), seed=0):
    return mlp(sizes, seed=seed, device=device, dtype=WIDE)


def vector(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().cpu()


def on_both(compute):
    """What a function of the device returns for each."""
    return compute("cpu"), compute("cuda")


def trained(name, device, **options):
    """A network and its run; one epoch of six steps."""
    if registry.get(name).extra:
        pytest.importorskip("pytorch_optimizer")
    model = network(device)
    optimizer = registry.make(name, model.parameters(), **SMALL.get(name, {}))
    known = {"epochs": 1, "batch_size": 200, "progress": False} | options
    return model, train(model, digits(device), optimizer, **known)


@pytest.mark.parametrize("name", [name for name in registry.names() if name not in DRAWS])
def test_every_optimizer_takes_the_same_steps(name):
    (here, run_here), (there, run_there) = on_both(partial(trained, name))
    tolerance = 1e-4 if name == "L-BFGS" else 1e-6  # whose line searches magnify the last bits
    close(vector(there), vector(here), rtol=tolerance, atol=tolerance / 10)
    assert run_there.device == "cuda"
    assert run_there.final.gradient_evaluations == run_here.final.gradient_evaluations


@pytest.mark.parametrize("name", registry.names())
def test_the_same_run_again_is_the_same_to_the_last_bit(name):
    ends = [trained(name, "cuda") for _ in range(2)]
    assert torch.equal(*(vector(model) for model, _ in ends))
    assert ends[0][1].final.train_loss < ends[0][1].epochs[0].train_loss


@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"direction": "gradient"}, {"blocks": "tensor"}, {"weight_decay": 0.1, "direction": "gradient"},
     {"nonfinite": "skip"}, {"capturable": True}, {"diagnostics": True}],
    ids=str,
)  # fmt: skip
def test_sofim_with_its_options(options, foreach):
    def end(device):
        torch.manual_seed(0)
        ps = [nn.Parameter(torch.randn(shape, dtype=WIDE).to(device)) for shape in [(3, 4), (5,), (20_000,), (7,)]]
        optimizer = SOFIM(ps, lr=0.1, foreach=foreach, **options)
        for k in range(5):
            for i, p in enumerate(ps):  # the second one has a gradient only every other time
                p.grad = None if i == 1 and k % 2 else torch.randn(p.shape, dtype=WIDE).to(device)
            optimizer.step()
        return torch.cat([p.detach().flatten() for p in ps]).cpu()

    here, there = on_both(end)
    close(there, here)


def test_sofim_in_float32_is_as_accurate():
    def end(device, dtype):
        torch.manual_seed(0)
        p = nn.Parameter(torch.randn(300_000, dtype=WIDE).to(device, dtype))
        optimizer = SOFIM([p], lr=1.0, rho=0.5)
        for _ in range(20):
            p.grad = torch.randn(p.shape, dtype=WIDE).to(device, dtype)
            optimizer.step()
        return p.detach().double().cpu()

    exact = end("cpu", WIDE)
    assert float((end("cuda", torch.float32) - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_step_of_sofim_waits_for_nothing(direction, dtype):
    ps = [nn.Parameter(torch.randn(n, 7, device="cuda", dtype=dtype)) for n in (3, 70_000, 5)]
    optimizer = SOFIM(ps, direction=direction, weight_decay=0.1)
    for p in ps:
        p.grad = torch.randn_like(p)
    optimizer.step()  # the first one makes the states
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("layout", ["channels last", "every other", "mixed"])
def test_sofim_with_unusual_memory(layout):
    """PyTorch's fused kernels refuse what does not lie alike."""

    def end(device):
        torch.manual_seed(0)
        wide = [torch.randn(4, 6, 3, 5, dtype=WIDE).to(device, torch.float32) for _ in range(3)]
        if layout == "channels last":
            wide = [x.to(memory_format=torch.channels_last) for x in wide]
        ps = [nn.Parameter(x[:, ::2] if layout == "every other" else x) for x in wide]
        optimizer = SOFIM(ps, lr=0.1, direction="gradient")
        for k in range(4):
            for i, p in enumerate(ps):
                g = torch.randn(p.shape, dtype=WIDE).to(device, torch.float32)
                last = layout == "mixed" and (i + k) % 2
                p.grad = g.to(memory_format=torch.channels_last) if last else g
            optimizer.step()
        return torch.cat([p.detach().double().flatten() for p in ps]).cpu()

    here, there = on_both(end)
    close(there, here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_sofim_under_autocast_learns(kind):
    model = mlp((64, 32, 10), device="cuda")
    data = digits("cuda", torch.float32).train
    optimizer, scaler = SOFIM(model.parameters()), torch.amp.GradScaler("cuda", enabled=kind == "float16")
    losses = []
    for _ in range(60):
        with torch.autocast("cuda", getattr(torch, kind)):
            loss = CE(model(data.x), data.y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize("kind", ["fisher", "empirical_fisher", "ggn", "hessian"])
def test_matrices_and_operators(kind):
    def found(device):
        model, data = network(device, (64, 3, 10)), digits(device).train
        x, y = data.x[:50], data.y[:50]
        labels = () if kind == "fisher" else (y,)
        matrix = getattr(curvature, kind)(model, CE, x, *labels)
        operator = getattr(curvature, f"{kind}_operator")(model, CE, x, *labels, chunk_bytes=20_000)
        v = torch.randn(len(matrix), 3, generator=torch.Generator().manual_seed(0), dtype=WIDE).to(device)
        assert matrix.device.type == operator.device.type == device
        return matrix.cpu(), (operator @ v).cpu(), curvature.top_eigenpairs(operator, 2).values.cpu()

    for here, there in zip(*on_both(found), strict=True):
        close(there, here)


def test_spectra_and_traces():
    def found(device):
        data = digits(device).train
        operator = curvature.hessian_operator(network(device, (64, 3, 10)), CE, data.x[:50], data.y[:50])
        density = curvature.spectral_density(operator, steps=10, probes=2)
        return torch.from_numpy(density.density), torch.tensor(curvature.trace(operator, probes=5).value)

    for here, there in zip(*on_both(found), strict=True):
        close(there, here, rtol=1e-6, atol=1e-8)


def test_the_regularized_matrix_and_its_inverse():
    def found(device):
        data = digits(device).train
        rows = curvature.per_sample_gradients(network(device, (64, 3, 10)), CE, data.x[:20], data.y[:20])
        regularized, low_rank = curvature.RegularizedFIM(rows.mean(dim=0), 0.1), curvature.LowRankFIM(rows, 0.1)
        return [part.cpu() for part in (rows, regularized.solve(rows[0]), low_rank.solve(rows[0]))]

    for here, there in zip(*on_both(found), strict=True):
        close(there, here)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("method", ["auto", "loop"])
def test_slices_and_barriers(model, method):
    def found(device):
        data = digits(device)
        a, b = (build_model(model, data, seed=seed) for seed in (0, 1))
        pair = data.val.x[:64], data.val.y[:64]
        plane = landscape.random_directions(a, 2, seed=1)
        ground = landscape.slice_2d(a, CE, pair, plane, points=5, accuracy=True, method=method, progress=False)
        return ground.loss, ground.accuracy, landscape.barrier(a, CE, pair, a, b, points=5, progress=False).loss

    for here, there in zip(*on_both(found), strict=True):
        close(torch.as_tensor(there), torch.as_tensor(here))


def test_a_recorded_path_its_plane_and_its_sharpness():
    def found(device):
        model, data = network(device), digits(device)
        recorder = landscape.PathRecorder(model, dtype=WIDE)
        known = {"epochs": 2, "batch_size": 200, "progress": False}
        train(model, data, SOFIM(model.parameters()), callback=recorder.record, **known)
        path = recorder.path()
        plane = landscape.principal_directions(path)
        x, y = data.val.x, data.val.y
        bent = landscape.eigen_directions(model, CE, x, y)
        steep = landscape.sharpness(path, model, CE, x, y, points=3)
        ground = landscape.slice_2d(model, CE, (x, y), plane, points=3, progress=False)
        seen = landscape.project(path, plane, model).coordinates, landscape.project(path, bent, model).coordinates
        return *(abs(where) for where in seen), steep.values, ground.loss.max()

    for here, there in zip(*on_both(found), strict=True):
        close(torch.as_tensor(there), torch.as_tensor(here), rtol=1e-5, atol=1e-6)


def test_many_runs_in_one_pass_are_those_of_train():
    runs = [(partial(SOFIM, lr=rate), seed) for rate in (0.1, 0.3) for seed in (0, 1)]
    data = digits("cuda")
    many = train_many(lambda seed: network("cuda", seed=seed), data, runs, epochs=2, batch_size=200, progress=False)
    for found, (make, seed) in zip(many, runs, strict=True):
        model = network("cuda", seed=seed)
        alone = train(model, data, make(model.parameters()), epochs=2, batch_size=200, seed=seed, progress=False)
        assert [step.loss for step in found.steps] == pytest.approx([step.loss for step in alone.steps], rel=1e-9)


@pytest.mark.parametrize("together", [False, True])
def test_a_sweep_gives_the_same_table_whatever_the_number_of_workers(together, tmp_path):
    few = [*draw("SOFIM", 2), *draw("SGD momentum", 2), Configuration("SGD", {"lr": 1.0, "weight_decay": 1e20})]
    known = {"model": "mlp", "data": "digits", "seeds": (0, 1), "epochs": 2, "progress": False, "device": "cuda"}
    found = [sweep(few, store=tmp_path / f"{jobs}.jsonl", n_jobs=jobs, together=together, **known) for jobs in (1, 2)]
    one, two = (each.frame.drop(columns="seconds") for each in found)
    if together:  # other company, other last bits
        losses = (torch.tensor(table[["train_loss", "val_loss"]].to_numpy()) for table in (one, two))
        close(*losses, rtol=1e-4, atol=1e-4, equal_nan=True)
    else:
        assert one.equals(two)
    assert {run["device"] for run in found[0].runs} == {"cuda"}


@pytest.mark.parametrize("privacy", [None, Privacy(0.5, 1.0)])
@pytest.mark.parametrize("server", [fed_avg(0.5), fed_sofim(1.0, rho=0.1)])
def test_federated_rounds(server, privacy):
    def found(device):
        model, data = network(device), digits(device)
        parts = dirichlet_split(data.train.y, 5, 0.5)
        work = LocalWork() if privacy else LocalWork(steps=2, rate=0.2, batch_size=32)
        federate(model, data, server(model.parameters()), parts, rounds=3, work=work, privacy=privacy, progress=False)
        return vector(model)

    here, there = on_both(found)
    close(there, here, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", streams.STREAMS)
def test_streams_give_the_same_batches(name):
    def found(device):
        chosen = streams.get(name)(digits(device).train.y, 64, torch.Generator().manual_seed(0))
        return torch.cat([batch.cpu() for batch in chosen])

    here, there = on_both(found)
    assert torch.equal(here, there)


def test_the_benchmark_and_its_costs(tmp_path):
    found = run(TINY, tmp_path / "tiny.jsonl", device="cuda", progress=False)
    (final,) = found.finals.values()
    assert {one["device"] for one in final.sweep.runs} == {"cuda"}
    costs = measure_costs(final.task, final.chosen, rounds=2, device="cuda")
    assert (costs["seconds"] > 0).all()


def test_a_model_moves_between_the_devices_with_its_optimizer():
    """As users do it: a state saved on a GPU goes on on the CPU."""
    model, data = network("cuda"), digits("cuda").train
    optimizer = SOFIM(model.parameters())

    def steps(model, optimizer, x, y):
        for _ in range(3):
            optimizer.zero_grad()
            CE(model(x), y).backward()
            optimizer.step()
        return vector(model)

    steps(model, optimizer, data.x, data.y)
    here = copy.deepcopy(model).cpu()
    there = SOFIM(here.parameters())
    there.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    close(
        steps(here, there, data.x.cpu(), data.y.cpu()), steps(model, optimizer, data.x, data.y), rtol=1e-8, atol=1e-10
    )
