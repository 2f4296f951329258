import numpy as np
import pytest
import torch

from sofim_lab.problems import mlp, resolve_device


def flat(model):
    return torch.nn.utils.parameters_to_vector(model.parameters())


def test_the_start_depends_on_the_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = flat(mlp(seed=3, device="cpu"))
    second = flat(mlp(seed=3, device="cpu"))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, flat(mlp(seed=4, device="cpu")))


def test_layers_follow_the_sizes():
    model = mlp((64, 32, 16, 10), activation="relu", device="cpu")
    assert [type(layer).__name__ for layer in model] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert model(torch.zeros(5, 64)).shape == (5, 10)
    assert [p.shape for p in mlp(np.array([64, 10]), device="cpu").parameters()] == [(10, 64), (10,)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (64,)}, r"sizes=\(64,\) must hold at least two"),
        ({"sizes": (64, 0, 10)}, r"sizes=\(64, 0, 10\)"),
        ({"sizes": (64, -3, 10)}, r"sizes=\(64, -3, 10\)"),
        ({"sizes": (64.7, 10)}, "a width in sizes=64.7 must be a whole number"),
        ({"sizes": (64, True, 10)}, "a width in sizes=True must be a whole number"),
        ({"sizes": (64, np.True_, 10)}, "a width in sizes=.*True.* must be a whole number"),
        ({"sizes": ("64", "10")}, "a width in sizes='64' must be a whole number"),
        ({"dtype": torch.int64}, "dtype=torch.int64 is no floating type"),
        ({"activation": "swish"}, "activation='swish' is unknown: choose one of tanh, relu"),
        ({"device": "tpu"}, "device='tpu' is unknown"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        mlp(**{"device": "cpu", **arguments})


def test_auto_is_a_device_that_exists():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device(torch.device("cpu")).type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_cuda_says_what_to_do():
    with pytest.raises(ValueError, match=r"device='cuda', but .* use device='cpu' or device='auto'"):
        resolve_device("cuda")


@pytest.mark.gpu
def test_a_cuda_device_that_is_not_there():
    with pytest.raises(ValueError, match="there are only"):
        resolve_device("cuda:99")
