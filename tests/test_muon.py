"""Muon against its equations: the sizes of its steps, momentum, decay, and AdamW where there is no matrix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdesolve.training.muon import Muon, orthogonal


def drawn(*shape: int, count: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype) for _ in range(count)]


def stepped(start: Tensor, gradients: list[Tensor], **settings: Any) -> Tensor:
    weight = nn.Parameter(start.clone())
    optimiser = Muon([weight], **settings)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimiser.step()
    return weight.detach()


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (3, 5, 1)])
def test_matrices_take_turned_steps_with_nesterovs_momentum(shape: tuple[int, ...]) -> None:
    (start, *gradients), rate, decay, mu = drawn(*shape, count=4), 0.1, 0.3, 0.8
    expected, momentum = start.flatten(1), torch.zeros_like(start.flatten(1))
    for gradient in gradients:
        momentum = mu * momentum + gradient.flatten(1)
        turned = orthogonal(gradient.flatten(1) + mu * momentum)
        expected = (1 - rate * decay) * expected - rate * 0.2 * max(expected.shape) ** 0.5 * turned
    found = stepped(start, gradients, lr=rate, weight_decay=decay, momentum=mu)
    torch.testing.assert_close(found, expected.reshape(shape))


def test_a_step_has_the_size_of_one_of_adam() -> None:
    """The root mean square of an entry of a step of a wide matrix is 0.2 rates, whatever the gradient's size."""
    (gradient,) = drawn(8, 64, count=1)
    for size in (1e-3, 1e3):
        step = stepped(torch.zeros(8, 64, dtype=torch.float64), [size * gradient], lr=0.5)
        assert float(step.square().mean().sqrt()) == pytest.approx(0.5 * 0.2, rel=0.25)


def test_turned_matrices_have_singular_values_near_one_and_the_same_vectors() -> None:
    u, _, v = torch.linalg.svd(drawn(5, 9, count=1)[0], full_matrices=False)
    matrix = u @ torch.diag(torch.logspace(0, -1.5, 5, dtype=torch.float64)) @ v
    for given, left, right in ((matrix, u, v), (matrix.T, v.T, u.T)):
        turned = left.T @ orthogonal(given) @ right.T
        values = turned.diagonal()
        assert float((turned - torch.diag(values)).abs().max()) < 1e-9
        assert float(values.min()) > 0.65 and float(values.max()) < 1.25


def test_modes_of_a_complex_weight_are_turned_each_by_itself() -> None:
    start, gradient = drawn(3, 4, 2, 5, count=2, dtype=torch.complex128)
    step = stepped(start, [gradient], lr=0.1) - start
    for i in range(2):
        for j in range(5):
            expected = -0.1 * 0.2 * 4**0.5 * orthogonal(1.95 * gradient[:, :, i, j])
            torch.testing.assert_close(step[:, :, i, j], expected)


@pytest.mark.parametrize(("shape", "dtype"), [((7,), torch.float64), ((7, 1), torch.float64), ((4,), torch.complex128)])
def test_what_is_no_matrix_takes_steps_of_adamw(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    start, *gradients = drawn(*shape, count=4, dtype=dtype)
    weight = nn.Parameter(start.clone())
    adamw = torch.optim.AdamW([weight], lr=0.1, betas=(0.8, 0.9), eps=1e-8, weight_decay=0.2)
    for gradient in gradients:
        weight.grad = gradient.clone()
        adamw.step()
    found = stepped(start, gradients, lr=0.1, betas=(0.8, 0.9), weight_decay=0.2)
    torch.testing.assert_close(found, weight.detach())
