"""Least-squares methods as torch optimisers: for training loops and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.least_squares.form import Form, form_for
from pdesolve.least_squares.modular import Modular, ModularEnergy
from pdesolve.least_squares.objective import Terms, check_finite
from pdesolve.least_squares.sharded import Sharded
from pdesolve.least_squares.step import Method


class LeastSquares(torch.optim.Optimizer):
    """A method for the trained parameters of a module, whose `step(rows)` is given residual rows instead of a loss.

    rows() -> {name: (*component, point)} computes residuals with the module's parameters as they are, derivatives by
    autograd; the loss is Σ weight |rows|²/2. The points may change between calls. For energies `step_energy`.

    The form of the linear solves is chosen by size at the first step, kept in `form` and in the state, and obeyed after
    `load_state_dict`. All else is tensors of the method's state: a loaded optimiser goes on bit for bit. Where a step
    finds nothing better the parameters stay as they were; `moved` says so, and `notes` what was odd about the system.
    """

    def __init__(
        self,
        module: nn.Module,
        method: Method,
        *,
        weights: Mapping[str, float] | None = None,
        form: Form | None = None,
        memory: int | None = None,
    ) -> None:
        self.module, self.method, self.weights, self.memory = module, method, dict(weights or {}), memory
        super().__init__(
            [p for p in module.parameters() if p.requires_grad],
            {"lr": 1.0, "form": None if form is None else asdict(form), "steps": 0},
        )
        self.moved = True
        self._found: tuple[str, ...] = ()
        self._pointwise: bool | None = None

    @property
    def form(self) -> Form | None:
        """How linear solves are done; None before the first step."""
        kept = self.param_groups[0]["form"]
        return None if kept is None else Form(**kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines on the last step's system: fewer rows than parameters, terms without a say, a rank-deficient J.

        None of these stops a step: it is damped, or the shortest of those that do equally well.
        """
        return tuple(note for note in ("" if self.form is None else self.form.note, *self._found) if note)

    @property
    def steps(self) -> int:
        """Steps so far."""
        return self.param_groups[0]["steps"]

    def step(self, rows: Callable[[], Terms]) -> Tensor:  # type: ignore[override]
        """One step on these rows; the loss after it.

        Raises:
            Diverged: rows that are not finite, with their term, row and step. The parameters are left as they were.
        """
        objective = Modular(self.module, rows, weights=self.weights)
        objective.pointwise = self._pointwise
        loss = self._step(objective, rows)
        self._pointwise = objective.pointwise
        return loss

    def step_energy(self, energy: Callable[[], Tensor], metric: Callable[[], Terms]) -> Tensor:
        """One step on an energy with the metric MᵀM of these rows (see `Energy`); the energy after it."""
        return self._step(ModularEnergy(self.module, energy, metric), metric)

    def _step(self, local: Modular | ModularEnergy, rows: Callable[[], Terms]) -> Tensor:
        objective = Sharded(local) if Sharded.needed() else local
        theta = local.theta()
        try:
            if self.form is None:
                self.param_groups[0]["form"] = asdict(self._choose(rows))
            form = self.form
            assert form is not None
            state = dict(self.state[self._parameters[0]]) or self.method.start(theta)
            step = self.method.step(objective, theta, state, form=form)
        except BaseException as error:
            local.put(theta)
            if isinstance(error, Diverged):
                raise Diverged(f"step {self.steps + 1}: {error}") from error
            raise
        local.put(step.theta)
        self.moved = bool(step.moved)
        idle = (
            f"the term {name} is zero at every point, by its weight or exactly: it has no say" for name in local.idle
        )
        self._found = (*idle, step.note)
        self.state[self._parameters[0]] = step.state  # with the first parameter, where torch keeps what it saves
        self.param_groups[0]["steps"] += 1
        return step.loss

    def _choose(self, rows: Callable[[], Terms]) -> Form:
        with torch.enable_grad():  # derivatives of the unknowns are taken by autograd
            terms = rows()
        check_finite(terms, self.weights)
        count = sum(term.numel() for term in terms.values())
        if Sharded.needed():
            count = Sharded.total(count, self._parameters[0].device)
        return form_for(count, self._parameters, memory=self.memory)

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return self.param_groups[0]["params"]
