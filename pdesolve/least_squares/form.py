"""Which form of the linear solve: chosen by size before anything is allocated, said in a line, obeyed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.least_squares.footprint import Footprint

Kind = Literal["dense", "kernel", "normal", "matrix_free"]

_WORK = 2e11  # floating-point operations of one solve: some seconds of one core
_NOTHING = Footprint()


@dataclass(frozen=True)
class Form:
    """How a damped linear solve is done, and the memory it needs. JSON by `dataclasses.asdict`, back by `Form(**d)`.

    dense: QR or singular values of J, at the accuracy of J's own condition number.
    kernel: Cholesky of J Jᵀ + λ, which squares the condition number but needs rows² of memory only.
    normal: Cholesky of JᵀJ + λ, which squares it too, for many rows; three fifths of the work. Never chosen by size.
    matrix_free: conjugate gradients on products with J; to `tolerance` or for `iterations`; preconditioned by a
    Nystrom sketch of `sketch` directions (0: none).
    """

    kind: Kind
    rows: int
    parameters: int
    bytes: int
    iterations: int = 200
    tolerance: float = 1e-12
    sketch: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise unknown_name("form", self.kind, get_args(Kind))
        if min(self.rows, self.parameters, self.iterations) < 1 or not 0 <= self.sketch <= self.parameters:
            raise InputError(
                f"a solve needs rows, parameters and iterations from 1 on and a sketch from 0 to {self.parameters}, "
                f"got {self.rows}, {self.parameters}, {self.iterations} and {self.sketch}"
            )

    def __str__(self) -> str:
        text = {
            "dense": "orthogonal factors of J",
            "kernel": "J J^T without J",
            "normal": "J^T J",
            "matrix_free": f"conjugate gradients, up to {self.iterations}",
        }[self.kind]
        return (
            f"least squares {self.kind}: {self.rows} rows, {self.parameters} parameters, "
            f"{_megabytes(self.bytes)} MB ({text})" + "".join(f"; {note}" for note in [self.note] if note)
        )

    @property
    def note(self) -> str:
        """What a system with too few rows is given; empty for others."""
        return "fewer rows than parameters: damped, nearest solution" if self.rows < self.parameters else ""


def choose(
    rows: int, parameters: int, *, memory: int, itemsize: int = 8, largest: int | None = None, work: float = _WORK,
    evaluation: Footprint = _NOTHING,
) -> Form:  # fmt: skip
    """The most accurate form whose memory and work are affordable.

    memory: bytes that may be used. largest: parameters of the largest block that the kernel form takes at once (the
    largest parameter tensor; all where unknown). work: floating-point operations of one solve that may be spent.
    evaluation: what rows and their Jacobian's operands take, which are held while they are solved with.
    """
    sizes = {
        kind: max(evaluation.peak, evaluation.held + predicted_bytes(kind, rows, parameters, itemsize, largest))
        for kind in get_args(Kind)
    }
    small, large = sorted((rows, parameters))
    # Householder QR costs 2 large small^2, the Gram matrix half of that at most, its Cholesky factor small^3 / 3
    if sizes["dense"] <= memory and 2 * large * small**2 <= work / 10:
        kind: Kind = "dense"
    elif rows < parameters and sizes["kernel"] <= memory and rows**2 * (parameters + rows / 3) <= work:
        kind = "kernel"
    elif sizes["dense"] <= memory and 2 * large * small**2 <= work:
        kind = "dense"
    else:
        kind = "matrix_free"
    return Form(kind, rows, parameters, sizes[kind])


def form_for(
    rows: int, parameters: Sequence[Tensor], *, memory: int | None = None, evaluation: Footprint = _NOTHING
) -> Form:
    """The form for so many rows and these parameter tensors. memory: bytes that may be used; half of what is free."""
    first = parameters[0]
    return choose(
        rows,
        sum(p.numel() for p in parameters),
        memory=memory or available_bytes(first.device),
        itemsize=first.element_size(),
        largest=max(p.numel() for p in parameters),
        evaluation=evaluation,
    )


def predicted_bytes(kind: Kind, rows: int, parameters: int, itemsize: int = 8, largest: int | None = None) -> int:
    """Bytes of the largest moment of a solve, without what the network's own evaluation takes."""
    if kind == "dense":
        # first J, J beside r, and the copy that QR overwrites, or J and its basis; then a triangle over the damping,
        # copied as often
        first = (3 if rows >= parameters else 2) * rows * parameters
        then = (0 if rows >= parameters else rows * parameters) + 8 * min(rows, parameters) ** 2
        return itemsize * (max(first, then) + min(rows, parameters) ** 2)
    if kind == "kernel":  # J Jᵀ, its damped copy, the factor, one product; one block of J
        return itemsize * (4 * rows**2 + rows * min(largest or parameters, parameters))
    if kind == "normal":  # J and the blocks of its product; JᵀJ, its damped copy, the factor
        return itemsize * (rows * parameters + 4 * parameters**2)
    return itemsize * (8 * parameters + 6 * rows)


def available_bytes(device: torch.device | str) -> int:
    """Half of the memory that is free now on that device: what a solve may plan with."""
    return free_bytes(device) // 2


def free_bytes(device: torch.device | str) -> int:
    """The memory that is free now on that device."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            free = {line.split(":")[0]: int(line.split()[1]) for line in file}
        return free["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError):
        return 2**32  # not Linux: a size that any machine has


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g}" if size < 1e9 else f"{size / 1e6:.0f}"
