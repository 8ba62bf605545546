"""Weight-factorised linear layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.fields.jets import Jet, linear, shifted
from pdesolve.fields.propagation import propagate
from pdesolve.least_squares.tape import active, copied, product, taped


class FactorisedLinear(nn.Module):
    """y = exp(s) (V x) + b: a linear layer with the weights W = diag(exp s) V, s and V both trained.

    (point, inputs) -> (point, outputs). Gradients see another metric: each unit has a learning rate of its own, which
    Adam and other first-order methods gain from; a Gauss-Newton step changes little. Random weight factorisation
    (Wang, Wang, Seidman and Perdikaris, 2022, arXiv 2210.01274).
    """

    def __init__(self, direction: Tensor, logarithm: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.direction = nn.Parameter(direction)  # V (outputs, inputs)
        self.logarithm = nn.Parameter(logarithm)  # s (outputs,)
        self.bias = None if bias is None else nn.Parameter(bias)

    @property
    def weight(self) -> Tensor:
        """W (outputs, inputs)."""
        return self.logarithm.exp()[:, None] * self.direction

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.direction.shape[1]}, {self.direction.shape[0]}"


@taped.register
def _(layer: FactorisedLinear, x: Tensor) -> Tensor:
    y = scaled_product(layer, x)
    return y if layer.bias is None else y + copied(layer.bias, x.shape[-2])


@propagate.register
def _(layer: FactorisedLinear, jet: Jet) -> Jet:
    if not active():
        return linear(jet, layer.weight, layer.bias)
    y = jet.like(scaled_product(layer, jet.values))
    return y if layer.bias is None else shifted(y, layer.bias)


def scaled_product(layer: FactorisedLinear, x: Tensor) -> Tensor:
    """W x of x (*channel, point, inputs), on the tape where one is being written: V as products, s as copies."""
    return product(x, layer.direction) * copied(layer.logarithm, x.shape[-2]).exp()


def factorise(module: nn.Module, *, mean: float = 0.5, deviation: float = 0.1, generator: torch.Generator) -> nn.Module:
    """The module with every linear layer factorised, s ~ N(mean, deviation²); its outputs stay what they were.

    mean: 0.5 or 1 (the paper's choices). Layers that are used twice stay one layer. A linear layer itself becomes the
    factorised one; other modules are changed in place and returned.

    Raises:
        InputError: a negative deviation.
    """
    if not deviation >= 0:
        raise InputError(f"the deviation of log-scales must be zero or more, got {deviation}")
    return _factorised(module, {}, mean, deviation, generator)


def _factorised(
    module: nn.Module, done: dict[nn.Module, nn.Module], mean: float, deviation: float, generator: torch.Generator
) -> nn.Module:
    if module in done:
        return done[module]
    if isinstance(module, nn.Linear):
        done[module] = _factors(module, mean, deviation, generator)
        return done[module]
    done[module] = module
    for name, child in module._modules.items():  # named_children leaves out the second place of a tied layer
        if child is not None:
            module._modules[name] = _factorised(child, done, mean, deviation, generator)
    return module


def _factors(layer: nn.Linear, mean: float, deviation: float, generator: torch.Generator) -> FactorisedLinear:
    weight, bias = layer.weight.detach(), layer.bias
    like: dict[str, Any] = {"dtype": weight.dtype, "device": weight.device}
    drawn = torch.randn(len(weight), dtype=torch.float64, generator=generator)
    logarithm = (mean + deviation * drawn).to(**like)
    return FactorisedLinear(
        weight / logarithm.exp()[:, None], logarithm, None if bias is None else bias.detach().clone()
    )
