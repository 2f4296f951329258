import pytest
import torch
from torch import nn

from sofim_lab.problems import MODELS, Dataset, Split, build_model, load_dataset, load_digits
from sofim_lab.problems.conv_models import Residual, cnn, resnet9

SMALL = {"resnet9": {"width": 4}}


def colour(n=6, side=32, dtype=torch.float32):
    x = torch.rand(n, 3 * side * side, generator=torch.Generator().manual_seed(0), dtype=dtype)
    part = Split(x, torch.arange(n) % 3)
    return Dataset("colour", part, part, part, classes=3, shape=(3, side, side))


def flat(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("data", [load_digits("cpu", torch.float64), colour()], ids=lambda data: data.name)
def test_every_model_takes_every_image_and_depends_on_the_seed_alone(name, data):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    model, same, other = (build_model(name, data, seed, **SMALL.get(name, {})) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert model(data.train.x[:2]).shape == (2, data.classes)
    assert flat(model).dtype == data.train.x.dtype
    assert model.training
    assert torch.equal(flat(model), flat(same))
    assert not torch.equal(flat(model), flat(other))


def test_the_names_mean_what_they_say():
    digits = load_digits("cpu")
    assert [tuple(p.shape) for p in build_model("logreg", digits).parameters()] == [(10, 64), (10,)]
    widths = [tuple(layer.weight.shape) for layer in build_model("mlp", digits) if isinstance(layer, nn.Linear)]
    assert widths == [(64, 64), (64, 64), (10, 64)]
    assert build_model("mlp", digits, dtype=torch.float64)[0].weight.dtype == torch.float64


def test_convolutions_see_the_image_as_it_was():
    # One pixel moved by one row in the image moves the first convolution's answer by one row.
    first = cnn((3, 8, 10), 2, device="cpu")[:2]
    image = torch.zeros(2, 3, 8, 10)
    image[0, 1, 3, 4] = image[1, 1, 4, 4] = 1.0
    one, two = first(image.flatten(1))
    torch.testing.assert_close(one[:, 2:5], two[:, 3:6])


def test_resnet9_has_its_parameters_and_residual_parts():
    model = resnet9((3, 32, 32), 10, device="cpu")
    assert len(flat(model)) == 6_573_130
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.modules()) == 8
    assert [layer.body[0][0].in_channels for layer in model if isinstance(layer, Residual)] == [128, 512]
    block = Residual(2)
    for norm in (layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.zeros_(norm.weight)
    x = torch.rand(3, 2, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", ["cnn", "resnet9"])
def test_what_is_no_image_is_refused(name):
    data = load_dataset("digits-ill-conditioned", "cpu")
    with pytest.raises(ValueError, match=rf"{name} needs images.*shape \(40,\) are none: choose logreg or mlp"):
        build_model(name, data)
    with pytest.raises(ValueError, match=f"{name} needs images"):
        build_model(name, colour(side=7))
    for width in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"width={width} must be"):
            build_model(name, load_digits("cpu"), width=width)


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no model is called 'vgg': there are logreg, mlp, cnn, resnet9"):
        build_model("vgg", load_digits("cpu"))
