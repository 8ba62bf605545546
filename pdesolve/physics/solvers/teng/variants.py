"""The stepper that settings ask for: natural gradient, tangent space or descent; equal steps or an embedded pair's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

from pdesolve.errors import InputError
from pdesolve.marching.checks import check_points
from pdesolve.marching.stepper import Stepper
from pdesolve.physics.solvers.teng.descent import Descent
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.projector import Projector
from pdesolve.physics.solvers.teng.quadrature import Quadrature, Watch
from pdesolve.physics.solvers.teng.schemes import Scheme, scheme
from pdesolve.physics.solvers.teng.solves import Solve, solve
from pdesolve.physics.solvers.teng.stages import ProjectedStages, Stages, TangentStages
from pdesolve.physics.solvers.teng.stepper import Adaptive, Equal, Integrated
from pdesolve.refusals import at_least, positive

if TYPE_CHECKING:
    from pdesolve.physics.solvers.teng.method import Teng

VariantName = Literal["teng", "tdvp", "obti_adam", "obti_lbfgs"]

_IMPLICIT = "esdirk4"  # what is named to those whose steps are past stability
_WITHIN = 1e-3  # residual of a projection as a part of the error that an adaptive step may make


def check_choices(teng: Teng) -> None:
    """Refuse names and numbers of settings that cannot be, or not together.

    Raises:
        InputError: one line.
    """
    if teng.scheme == "dopri8":
        if teng.variant != "tdvp":
            raise InputError(
                f"dopri8 integrates velocities, {teng.variant} has targets: write --method.variant tdvp or "
                "--method.scheme dormand_prince"
            )
    elif scheme(teng.scheme).implicit and teng.variant != "teng":
        raise InputError(
            f"{teng.scheme} solves for its stages by projections, {teng.variant} has none: write --method.variant teng "
            "or --method.scheme rk4"
        )
    solve(teng.projection, cutoff=teng.cutoff)
    positive(teng, ("step_tolerance", "learning_rate"))
    at_least(teng, ("iterations",))
    if not 0 <= teng.cutoff < 1:
        raise InputError(f"cutoff is a part of the largest singular value such as 1e-10, got {teng.cutoff}")
    for setting in ("subset", "first_subset"):
        count = getattr(teng, setting)
        if count is not None and count < 1:
            raise InputError(f"{setting} is a number of parameters from 1 on, or none for all, got {count}")
    if teng.subset is None and teng.first_subset is not None:
        raise InputError("first_subset comes before smaller ones: give --method.subset too")
    if teng.subset is not None and teng.variant != "teng":
        raise InputError(f"subsets belong to the projections of variant teng, {teng.variant} moves all parameters")


def check_rows(teng: Teng, rows: int, count: int) -> None:
    """Refuse a solve that interpolates its points: fewer rows than parameters that move at once.

    Raises:
        InputError: with the numbers.
    """
    if teng.variant in ("teng", "tdvp"):
        moved = [n for n in (teng.subset, teng.first_subset) if n is not None] or [count]
        check_points(rows, min(max(moved), count))


class Variant:
    """A stepper on the points of a quadrature, as settings ask for it."""

    def __init__(
        self, teng: Teng, quadrature: Quadrature, *, length: float, generator: torch.Generator,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._teng, self._quadrature, self._length, self._generator = teng, quadrature, length, generator
        self._by = solve(teng.projection, cutoff=teng.cutoff)
        self._projector: Projector | None = None
        self._watch, self._say = Watch(say), say
        self.stepper = self._stepper()

    def begin(self, fit: float, time: float) -> None:
        """Take the residual of the initial fit for a measure, and tell a step that is past stability."""
        if self._projector is not None:
            tolerance = self._teng.tolerance * fit
            if isinstance(self.stepper, Adaptive):
                tolerance = max(tolerance, _WITHIN * self._teng.step_tolerance)
            self._projector.tolerance = tolerance
            self._stages.tolerance = fit
        if isinstance(self.stepper, Equal) and (advice := self.stepper.advice(time)):
            self._say(advice)

    def _stepper(self) -> Stepper:
        teng, length = self._teng, self._length
        if teng.scheme == "dopri8":
            # its stages are torchdiffeq's: the scheme here is never stepped
            stages = self._tangent(scheme("euler"))
            return Integrated(stages, length=length, tolerance=teng.step_tolerance)
        tableau = scheme(teng.scheme)
        stages: Stages = self._tangent(tableau) if teng.variant == "tdvp" else self._projected(tableau)
        if tableau.embedded:
            return Adaptive(stages, length=length, tolerance=teng.step_tolerance)
        free = teng.variant == "teng" and self._quadrature.now.algebraic is None
        return Equal(
            stages, length=length, name=teng.scheme, by=self._by, damping=teng.damping,
            instead=_IMPLICIT if free else "",
        )  # fmt: skip

    def _tangent(self, tableau: Scheme) -> TangentStages:
        return TangentStages(tableau, self._quadrature, self._watch, by=self._by, damping=self._teng.damping)

    def _projected(self, tableau: Scheme) -> ProjectedStages:
        self._projector = self._new_projector(self._by)
        self._stages = ProjectedStages(tableau, self._quadrature, self._projector, self._watch)
        return self._stages

    def _new_projector(self, by: Solve) -> Projector:
        teng, now = self._teng, self._quadrature.now
        match teng.variant:
            case "obti_adam":
                return Descent(now, by="adam", iterations=teng.iterations, rate=teng.learning_rate)
            case "obti_lbfgs":
                return Descent(now, by="lbfgs", iterations=teng.iterations, rate=teng.learning_rate)
        subset = () if teng.subset is None else (teng.first_subset or teng.subset, teng.subset)
        return Projection(
            now, damping=teng.damping, repetitions=teng.repetitions, by=by, subset=subset, generator=self._generator
        )
