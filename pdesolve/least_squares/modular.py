"""Residuals that a module computes: its parameters flattened, its Jacobian from a tape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.least_squares.graph import GraphJacobian
from pdesolve.least_squares.jacobian import Jacobian
from pdesolve.least_squares.objective import (
    Linearisation,
    Objective,
    Terms,
    check_finite,
    half_squares,
    no_rows,
    of_rows,
    stack,
)
from pdesolve.least_squares.strips import Block, Outer, Strip, StripJacobian
from pdesolve.least_squares.tape import Tape, record

_FEW = 64  # parameters that stand in no layer, such as learned coefficients: a product each


class Modular(Objective):
    """|r|²/2 of `rows() -> {name: (*component, point)}`, computed with the module's parameters as they are.

    theta is all trained parameters in the order of `named_parameters`, tied ones once. The Jacobian comes from a tape
    where every row depends on its own point, which the first linearisation checks; row by row by autograd otherwise.
    weights: factor of each term's sum of squares.

    Evaluations leave their theta in the module.
    """

    def __init__(
        self, module: nn.Module, rows: Callable[[], Terms], *, weights: Mapping[str, float] | None = None
    ) -> None:
        self.module, self.rows, self.weights = module, rows, dict(weights or {})
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError(f"{type(module).__name__} has no parameters to train: set requires_grad")
        if len({(p.dtype, p.device) for p in self.parameters}) > 1:
            raise InputError(f"the parameters of {type(module).__name__} have several dtypes or devices: use .to(...)")
        bounds = [0, *accumulate(p.numel() for p in self.parameters)]
        self.slices = [slice(a, b) for a, b in pairwise(bounds)]
        self.pointwise: bool | None = None  # not yet known
        self.idle: tuple[str, ...] = ()  # terms that were zero at every row of the last linearisation

    def theta(self) -> Tensor:
        """The module's parameters, flat (parameter,)."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    @torch.no_grad()
    def put(self, theta: Tensor) -> None:
        """Write flat parameters into the module."""
        for p, where in zip(self.parameters, self.slices, strict=True):
            p.copy_(theta[where].view_as(p))

    def values(self, theta: Tensor) -> Tensor:
        self.put(theta)
        with torch.enable_grad():  # derivatives of the unknowns are taken by autograd
            return stack(self.rows(), self.weights).detach()

    def loss(self, theta: Tensor) -> Tensor:
        return half_squares(self.values(theta))

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """r and Jᵀr by one backward pass, without J."""
        self.put(theta)
        with torch.enable_grad():
            r = stack(self.rows(), self.weights)
            parts = torch.autograd.grad(half_squares(r), self.parameters, materialize_grads=True)
        return r.detach(), torch.cat([part.reshape(-1) for part in parts])

    def linearise(self, theta: Tensor) -> Linearisation:
        self.put(theta)
        if self.pointwise is not False:
            r, jacobian = self._from_tape()
            if self.pointwise is None:
                self.pointwise = jacobian is not None and self._agrees(jacobian, r)
            if self.pointwise and jacobian is not None:
                return of_rows(r, jacobian)
        jacobian = GraphJacobian(self._checked, self.parameters)
        return of_rows(jacobian.value, jacobian)

    def _checked(self) -> Tensor:
        terms = self.rows()
        check_finite(terms, self.weights)
        rows = stack(terms, self.weights)
        self._look(terms, rows)
        return rows

    def _look(self, terms: Terms, rows: Tensor) -> None:
        """Keep the names of terms whose rows are zeros."""
        parts = rows.detach().split([term.numel() for term in terms.values()])
        self.idle = tuple(name for name, part in zip(terms, parts, strict=True) if not bool(part.any()))

    def _from_tape(self) -> tuple[Tensor, StripJacobian | None]:
        with torch.enable_grad(), record(self.module) as tape:
            terms = self.rows()
        try:
            with torch.enable_grad():
                return self._read(tape, terms)
        finally:
            tape.clear()

    def _read(self, tape: Tape, terms: Terms) -> tuple[Tensor, StripJacobian | None]:
        """The rows, and their Jacobian where every row depends on its own point."""
        check_finite(terms, self.weights)
        r = stack(terms, self.weights).detach()
        self._look(terms, r)
        strips: list[Strip] = []
        start = 0
        for name, term in terms.items():
            scale = self.weights.get(name, 1.0) ** 0.5
            for component in torch.atleast_1d(term).flatten(0, -2) if term.ndim > 1 else [term.reshape(-1)]:
                rows = slice(start, start := start + len(component))
                if not component.requires_grad or not scale:
                    continue  # depends on no parameter, or has no say
                contents = self._contents(tape, component)
                if contents is None:
                    return r, None
                for k, content in contents.items():
                    strips.append(Strip(rows, self.slices[k], _scaled(content, scale)))
        strips += self._outside(tape, terms)
        return r, StripJacobian(strips, len(r), self.slices[-1].stop, r)

    def _contents(self, tape: Tape, r: Tensor) -> dict[int, Outer | Block] | None:
        """What each parameter on the tape contributes to dr/dtheta; None where its points are not the rows."""
        index = {id(p): k for k, p in enumerate(self.parameters)}
        products = [entry for entry in tape.products if id(entry[0]) in index]
        copies = [entry for entry in tape.copies if id(entry[0]) in index]
        outputs = [y for _, _, y, _ in products] + [c for _, c in copies]
        if not outputs:
            return {}
        errors = torch.autograd.grad(r.sum(), outputs, retain_graph=True, allow_unused=True)
        outers: dict[int, list[Outer]] = defaultdict(list)
        blocks: dict[int, Tensor] = {}
        for (weight, x, _, transposed), error in zip(products, errors, strict=False):
            if error is None:
                continue
            if x.shape[-2] != len(r):
                return None
            left, right = (x, error) if transposed else (error, x)
            outers[index[id(weight)]].append(
                Outer(*(t.detach().reshape(-1, len(r), t.shape[-1]) for t in (left, right)))
            )
        for (parameter, copy), error in zip(copies, errors[len(products) :], strict=True):
            if error is None:
                continue
            if len(copy) != len(r):
                return None
            k = index[id(parameter)]
            blocks[k] = blocks.get(k, 0) + error.reshape(len(r), -1)
        # a tensor that was used several times: channels beside one another, before any product
        found: dict[int, Outer | Block] = {
            k: Outer(torch.cat([o.errors for o in parts]), torch.cat([o.inputs for o in parts])).merged()
            for k, parts in outers.items()
        }
        for k, block in blocks.items():
            found[k] = Block(block + found[k].explicit()) if k in found else Block(block)
        return found

    def _outside(self, tape: Tape, terms: Terms) -> list[Strip]:
        """Columns of parameters that stand in no layer."""
        seen = {id(entry[0]) for entry in (*tape.products, *tape.copies)}
        left = [k for k, p in enumerate(self.parameters) if id(p) not in seen]
        rows = stack(terms, self.weights)
        if not left or not rows.requires_grad:
            return []
        if sum(self.parameters[k].numel() for k in left) > _FEW:
            return []  # the check of the first linearisation then finds J incomplete
        block = GraphJacobian(lambda: rows, [self.parameters[k] for k in left]).dense()
        parts = block.split([self.parameters[k].numel() for k in left], -1)
        return [Strip(slice(0, len(rows)), self.slices[k], Block(part)) for k, part in zip(left, parts, strict=True)]

    def _agrees(self, jacobian: Jacobian, r: Tensor) -> bool:
        """Whether Jᵀw for a random w is what a plain evaluation gives: false where rows mix points."""
        w = torch.randn(len(r), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(r)
        exact = GraphJacobian(self._checked, self.parameters).transposed(w)
        return bool((jacobian.transposed(w) - exact).norm() <= torch.finfo(r.dtype).eps ** 0.5 * exact.norm())


class ModularEnergy(Objective):
    """A loss `energy()` of a module's parameters with the metric MᵀM of rows `metric()`: see `Energy`."""

    def __init__(self, module: nn.Module, energy: Callable[[], Tensor], metric: Callable[[], Terms]) -> None:
        self._metric = Modular(module, metric)
        self.energy = energy

    @property
    def idle(self) -> tuple[str, ...]:
        return self._metric.idle

    def theta(self) -> Tensor:
        return self._metric.theta()

    def put(self, theta: Tensor) -> None:
        self._metric.put(theta)

    def values(self, theta: Tensor) -> Tensor:
        raise no_rows("this method")

    def loss(self, theta: Tensor) -> Tensor:
        self.put(theta)
        with torch.enable_grad():
            energy = self.energy().detach()
        return torch.where(torch.isfinite(energy), energy, torch.inf)

    def linearise(self, theta: Tensor) -> Linearisation:
        jacobian = self._metric.linearise(theta).jacobian
        with torch.enable_grad():
            energy = self.energy()
            check_finite({"energy": energy})
            parts = torch.autograd.grad(energy, self._metric.parameters, materialize_grads=True)
        return Linearisation(energy.detach(), torch.cat([g.reshape(-1) for g in parts]), jacobian)


def _scaled(content: Outer | Block, scale: float) -> Outer | Block:
    if isinstance(content, Outer):
        return Outer(scale * content.errors, content.inputs)
    return Block(scale * content.matrix)
