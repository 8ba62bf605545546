"""SOAP against its equations, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pdesolve.least_squares import Soap


def falling(matrix: Tensor) -> Tensor:
    """Eigenvectors, those of the largest values first."""
    return torch.linalg.eigh(matrix)[1].flip(-1)


def followed(matrix: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """One step of orthogonal iteration, columns by falling Rayleigh quotient; and the order of these."""
    order = torch.diagonal(basis.T @ matrix @ basis).argsort(descending=True)
    return torch.linalg.qr(matrix @ basis[:, order])[0], order


def test_it_is_adam_in_bases_that_follow_the_gradients() -> None:
    """Gradients whose directions change places in size, so that columns are sorted anew; every second step."""
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    gradients = [torch.randn(4, 3, generator=generator, dtype=torch.float64).exp() for _ in range(7)]
    b1, b2, b3, rate, epsilon = 0.9, 0.7, 0.5, 0.1, 1e-8
    w, m, v, changes = start.clone(), torch.zeros(4, 3).double(), torch.zeros(4, 3).double(), 0
    left, right = (1 - b3) * gradients[0] @ gradients[0].T, (1 - b3) * gradients[0].T @ gradients[0]
    q, p = falling(left), falling(right)
    for n, g in enumerate(gradients[1:], 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (q.T @ g @ p).square()
        w = w - rate * q @ ((q.T @ m @ p) / (1 - b1**n) / ((v / (1 - b2**n)).sqrt() + epsilon)) @ p.T
        left, right = b3 * left + (1 - b3) * g @ g.T, b3 * right + (1 - b3) * g.T @ g
        if n % 2 == 0:
            (q, rows), (p, columns) = followed(left, q), followed(right, p)
            v = v[rows][:, columns]
            changes += int(rows.tolist() != [0, 1, 2, 3])
    weight = nn.Parameter(start.clone())
    soap = Soap([weight], lr=rate, betas=(b1, b2, b3), epsilon=epsilon, frequency=2)
    for g in gradients:
        weight.grad = g.clone()
        soap.step()
    assert changes, "columns changed places"
    torch.testing.assert_close(weight.detach(), w)


def test_long_sides_and_vectors_keep_their_own_axes() -> None:
    """Of a matrix with two long sides, and of a vector, what is left is Adam, a step later."""
    generator = torch.Generator().manual_seed(4)
    for shape in ((6, 5), (6,)):
        w, v = (nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for _ in range(2))
        soap = Soap([w], lr=0.1, betas=(0.9, 0.8, 0.5), frequency=1, longest=4)
        adam = torch.optim.Adam([v], lr=0.1, betas=(0.9, 0.8), eps=1e-8)
        for n in range(5):
            w.grad = torch.randn(shape, generator=generator, dtype=torch.float64)
            v.grad = w.grad.clone()
            soap.step()
            if n:
                adam.step()
        torch.testing.assert_close(w.detach(), v.detach())
