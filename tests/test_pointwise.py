"""Layers over channels are convolutions of size one."""

import pytest
import torch
from torch import nn

from pdesolve.nn.pointwise import Pointwise, with_pointwise


def test_it_is_the_convolution_of_size_one_with_its_gradients():
    torch.manual_seed(0)
    for bias in (True, False):
        convolution = nn.Conv1d(5, 3, 1, bias=bias).double()
        x = torch.randn(4, 5, 7, dtype=torch.float64, requires_grad=True)
        layer = Pointwise(convolution)
        wanted, found = convolution(x), layer(x)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        to = [x, *convolution.parameters()]
        assert [id(p) for p in layer.parameters()] == [id(p) for p in convolution.parameters()]
        for a, b in zip(
            torch.autograd.grad(found.sin().sum(), to), torch.autograd.grad(wanted.sin().sum(), to), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_layers_are_found_where_they_are_and_states_keep_their_names():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv1d(4, 4, 1), nn.GELU(), nn.ModuleDict({"wide": nn.Conv1d(4, 4, 3)})["wide"])
    module = nn.Sequential(nn.Conv1d(2, 4, 1), inner, nn.Conv1d(4, 2, 1, groups=2))
    x = torch.randn(3, 2, 9)
    wanted, names = module(x), list(module.state_dict())
    changed = with_pointwise(module)
    assert changed is module and list(changed.state_dict()) == names
    assert [type(part) for part in changed] == [Pointwise, nn.Sequential, nn.Conv1d]  # groups are left as they are
    assert [type(part) for part in inner] == [Pointwise, nn.GELU, nn.Conv1d]
    torch.testing.assert_close(changed(x), wanted)


def test_bfloat16_by_autocast():
    layer, x = Pointwise(nn.Conv1d(3, 2, 1)), torch.randn(2, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x), rtol=0.05, atol=0.05)


def test_other_convolutions_are_refused():
    for convolution in (nn.Conv1d(2, 2, 3), nn.Conv1d(2, 2, 1, groups=2), nn.Conv1d(2, 2, 1, stride=2)):
        with pytest.raises(ValueError, match="size 1"):
            Pointwise(convolution)
