"""What fine-tuning came to: fields, figures before and after, a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.finetuning.descent import Outcome
from pdesolve.finetuning.posing import truth_at
from pdesolve.metrics import sample_relative_l2
from pdesolve.problem import Problem

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Finetuned:
    """Fields that obey the equation on the grid of the data, and how far the surrogate was from them, by sample.

    dataset: as of a prediction, in float64. defect: (sample, 2) the estimated relative distance to the solution of the
    discrete equations, before and after. residual: (sample, 2) |r| over that of a field of zeros. error: (sample, 2)
    the relative L2 error where the data have the truth, else None. steps: (sample,). products: with Jacobians, by all
    batches. unresolved: what more points in time would change, relative. seconds: of CPU, of prediction and of solving.
    """

    dataset: xr.Dataset
    defect: np.ndarray
    residual: np.ndarray
    error: np.ndarray | None
    steps: np.ndarray
    products: int
    unresolved: float
    discretisation: str
    seconds: tuple[float, float]

    def table(self) -> str:
        """Medians and the worst sample, before and after."""
        rows = [[f"of {len(self.steps)} samples", "predicted", "worst", "fine-tuned", "worst"]]
        figures = {"error against the data": self.error, "defect": self.defect, "residual": self.residual}
        for name, found in figures.items():
            if found is not None:
                row = [f"{f(found[:, i]):.3e}" for i in (0, 1) for f in (np.median, np.max)]
                rows.append([name, *row])
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        resolved = f", {self.unresolved:.1e} unresolved in time" if self.unresolved else ""
        told = (
            f"{self.discretisation}: {int(np.median(self.steps))} steps (most {self.steps.max()}), {self.products} "
            f"products{resolved}, {self.seconds[1]:.2f} CPU s after {self.seconds[0]:.2f} for the prediction"
        )
        return "\n".join([*lines, told])

    def json(self) -> dict[str, Any]:
        """The medians and the worst as JSON values."""
        figures = {"error": self.error, "defect": self.defect, "residual": self.residual}
        found: dict[str, Any] = {
            name: {when: {"median": float(np.median(f[:, i])), "worst": float(f[:, i].max())}
                   for i, when in enumerate(("before", "after"))}
            for name, f in figures.items() if f is not None
        }  # fmt: skip
        return {
            **found, "steps": self.steps.tolist(), "products": self.products, "unresolved": self.unresolved,
            "discretisation": self.discretisation, "cpu_seconds": list(self.seconds),
        }  # fmt: skip


def told(
    outcomes: Sequence[Outcome], guess: xr.Dataset, fields: Tensor, *, data: Dataset, problem: Problem,
    times: tuple[float, ...], seconds: tuple[float, float],
) -> Finetuned:  # fmt: skip
    """The outcomes of batches that began at `fields` (sample, [time,] scalar, *space), labelled as the prediction is.

    times: of the frames, the known one first; empty for stationary equations.
    """

    def joined(of: Callable[[Outcome], Tensor]) -> np.ndarray:
        return torch.cat([of(outcome).detach().cpu() for outcome in outcomes]).numpy()

    u, before = torch.cat([outcome.u for outcome in outcomes]).cpu(), fields.cpu()
    moving, dataset, error, scalar = bool(times), guess.copy(), None, 0
    if moving:
        u, before = u[:, 1:], before[:, 1:]
    errors = []
    for unknown in problem.equation.unknowns:
        count = len(unknown.scalars)
        rows = slice(scalar, scalar + count)
        new, old = (v[:, :, rows] if moving else v[:, None, rows] for v in (u, before))
        scalar += count
        array = np.asarray(dataset[unknown.name].values, dtype=float)
        plain = new if moving else new[:, 0]
        plain = plain if unknown.components else plain.squeeze(2 if moving else 1)
        if moving:
            array[:, array.shape[1] - plain.shape[1] :] = plain.numpy()
        else:
            array = plain.numpy()
        dataset[unknown.name] = (dataset[unknown.name].dims, array, dataset[unknown.name].attrs)
        truth = truth_at(data, unknown.name, times[1:], bool(unknown.components))
        if truth is not None:
            errors.append(torch.stack([sample_relative_l2(v, truth) for v in (old, new)], 1))
    if len(errors) == len(problem.equation.unknowns):
        error = torch.stack(errors).mean(0).numpy()
    return Finetuned(
        dataset,
        np.stack([joined(lambda o: o.before), joined(lambda o: o.after)], 1),
        np.stack([joined(lambda o: o.rows_before), joined(lambda o: o.rows_after)], 1),
        error, joined(lambda o: o.steps), sum(o.products for o in outcomes),
        max(o.unresolved for o in outcomes), outcomes[0].described, seconds,
    )  # fmt: skip
