"""Rotations in two, three and four dimensions by numbers that no constraint binds."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import InputError


def unturned(axes: int) -> Tensor:
    """The numbers of no rotation at all."""
    one = {2: [1.0, 0.0], 3: [1.0, 0.0, 0.0, 0.0], 4: [1.0, 0.0, 0.0, 0.0] * 2}
    if axes not in one:
        raise InputError(
            f"full covariances are for one to four dimensions, got {axes}: take --method.covariance diagonal"
        )
    return torch.tensor(one[axes], dtype=torch.float64)


def rotation(turns: Tensor, axes: int) -> Tensor:
    """R (*, axis, axis) of two numbers in the plane, a quaternion in space, two in four dimensions, of any length."""
    if axes == 2:
        c, s = (turns / turns.norm(dim=-1, keepdim=True)).unbind(-1)
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    left = _multiplication(turns[..., :4], 1)
    right = _multiplication(turns[..., :4] if axes == 3 else turns[..., 4:], -1)
    if axes == 3:
        return (left @ right.mT)[..., 1:, 1:]  # v -> p v p*
    return left @ right  # v -> p v q


def _multiplication(quaternion: Tensor, side: int) -> Tensor:
    """The matrix of v -> p v (side 1) or v -> v p (side -1) for a quaternion p brought to length one."""
    a, b, c, d = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [a, -b, -c, -d],
        [b, a, -side * d, side * c],
        [c, side * d, a, -side * b],
        [d, -side * c, side * b, a],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
