"""All measures of a test set at once, from batches that are seen one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Grid
from pdesolve.metrics import norms
from pdesolve.metrics.means import LEADING, compared, quadrature_weights, spacing, spatial_mean
from pdesolve.metrics.rollouts import THRESHOLD, correlation, correlation_time
from pdesolve.metrics.sobolev import relative_h1
from pdesolve.metrics.spectra import PDEBENCH_EDGES, band_rmse, energy_spectrum, wavenumbers

BANDS = ("rmse_low", "rmse_middle", "rmse_high")
CURVES = ("rmse", "nrmse", "vrmse", "relative_l2", "correlation")


@final
class Scores:
    """The table of errors of a test set, its curves over lead time and its spectra, in the memory of one batch.

        scores = Scores(grid=grid)
        for batch in batches:
            scores.add(predicted(batch), batch.targets)
        print(scores.table())

    grid: of space, None for scattered points: then there are no errors of slopes, waves and boundaries. axes: those of
    a variable that lacks some of the grid's. leads: the times of the frames after those given; 1, 2, ... where not
    known. given: so many frames at the start of a prediction are what it was given: they count in nothing. threshold:
    of the correlation.
    """

    def __init__(
        self,
        *,
        grid: Grid | None = None,
        axes: Mapping[str, Sequence[str]] | None = None,
        leads: Sequence[float] | None = None,
        given: int = 0,
        threshold: float = THRESHOLD,
    ) -> None:
        self.grid, self.axes, self.given, self.threshold = grid, dict(axes or {}), given, threshold
        self.leads = None if leads is None else [float(lead) for lead in leads]
        self._sums: dict[str, dict[str, Tensor]] = {}
        self._largest: dict[str, float] = {}
        self._each: dict[str, list[Tensor]] = {}

    def add(
        self, prediction: Mapping[str, Tensor], truth: Mapping[str, Tensor], *, weights: Tensor | None = None
    ) -> None:
        """Take in a batch: predictions and truths (sample, time, component, *space) by variable.

        weights: (*space) or (sample, 1, 1, *space), 0 at padding; those of the grid where none are given.

        Raises:
            InputError: a variable that is not predicted, other shapes, another grid, no frames after those given.
        """
        for name, wanted in truth.items():
            if name not in prediction:
                raise unknown_name("predicted variable", name, prediction)
            u, v = compared(prediction[name], wanted)
            if u.shape[1] <= self.given:
                raise InputError(f"{self.given} of the {u.shape[1]} frames of {name} are given: none is to be judged")
            self._check_leads(name, u.shape[1] - self.given)
            self._add(name, u[:, self.given :], v[:, self.given :], weights)

    def merge(self, other: Scores) -> None:
        """Take in what another one has seen: of another process, of other batches."""
        for name, sums in other._sums.items():
            self._gather(name, sums, other._largest[name])
            self._each.setdefault(name, []).extend(other._each[name])

    @property
    def samples(self) -> int:
        """How many samples were seen."""
        return max((int(sums["samples"]) for sums in self._sums.values()), default=0)

    def table(self) -> dict[str, dict[str, float]]:
        """{variable: {measure: value}}, of those that make sense for it.

        rmse, nrmse, vrmse, boundary_rmse, rmse_low, rmse_middle, rmse_high: means of roots over samples, times and
        components. conserved_rmse: root of the mean over samples, then means. relative_l2: over all entries.
        sample_relative_l2, relative_h1: of each sample, then the mean. max: the largest. correlation_time: of the mean
        curve; the last lead time where it never falls below the threshold.

        Raises:
            InputError: nothing was seen.
        """
        if not self._sums:
            raise InputError("there is nothing to judge: no batch was added")
        return {name: self._row(name, sums) for name, sums in self._sums.items()}

    def curves(self) -> dict[str, dict[str, list[float]]]:
        """{variable: {"lead": times, measure: values}}: means over samples and components at each lead time."""
        return {
            name: {"lead": self._times(sums), **{c: (sums[c] / sums["samples"]).tolist() for c in CURVES}}
            for name, sums in self._sums.items()
        }

    def each(self) -> dict[str, Tensor]:
        """{variable: (sample,)}, the `sample_relative_l2` of each sample, in the order in which they were seen."""
        return {name: torch.cat(parts) for name, parts in self._each.items()}

    def spectra(self) -> dict[str, dict[str, list[float]]]:
        """{variable: {"prediction": energies by shell, "truth": ...}}: means over samples and times of the sums over
        components, see `energy_spectrum`; of variables on equally spaced points."""
        kinds = {"prediction": "spectrum of u", "truth": "spectrum of v"}
        return {
            name: {kind: (sums[key] / sums["samples"]).tolist() for kind, key in kinds.items()}
            for name, sums in self._sums.items()
            if "spectrum of u" in sums
        }

    def _add(self, name: str, u: Tensor, v: Tensor, weights: Tensor | None) -> None:
        grid = self._grid(name)
        if grid is not None:
            norms.same_places(v, grid)
            weights = quadrature_weights(grid, like=v) if weights is None else weights
        alike = correlation(u, v, weights)
        each = norms.sample_relative_l2(u, v, weights)
        found = {
            "samples": torch.tensor(len(u)),
            "rmse": norms.rmse(u, v, weights).mean(2).sum(0),
            "nrmse": norms.nrmse(u, v, weights).mean(2).sum(0),
            "vrmse": norms.vrmse(u, v, weights).mean(2).sum(0),
            "relative_l2": norms.frame_relative_l2(u, v, weights).sum(0),
            "correlation": alike.mean(2).sum(0),
            # no correlation with what is constant
            "constant": (
                alike.isnan() & correlation(v, v, weights).isnan() & v.isfinite().flatten(LEADING).all(-1)
            ).sum(),
            "squares of u - v": spatial_mean((u - v).square(), weights).sum(),
            "squares of v": spatial_mean(v.square(), weights).sum(),
            "sample_relative_l2": each.sum(),
            "conserved": norms.conserved_error(u, v, weights).square().sum(0),
        }
        if grid is not None and not all(member.axis.periodic for member in grid.members):
            found["boundary_rmse"] = norms.boundary_rmse(u, v, grid=grid).mean((1, 2)).sum(0)
        fitting = None if grid is None else differentiable(grid)
        if fitting is not None:
            found["relative_h1"] = relative_h1(u, v, grid=fitting).sum(0)
        if grid is not None and all(spacing(member) is not None for member in grid.members):
            bands = band_rmse(u, v, grid=grid).mean((1, 2)).sum(0)
            held = torch.bucketize(wavenumbers(grid, like=v), bands.new_tensor(PDEBENCH_EDGES), right=True).unique()
            found |= {BANDS[i]: bands[i] for i in held.tolist()}
            for kind, values in (("u", u), ("v", v)):
                found[f"spectrum of {kind}"] = energy_spectrum(values, grid).sum(2).mean(1).sum(0)
        largest = float(norms.max_errors(u, v, weights).max())
        self._gather(name, {key: value.detach().cpu().double() for key, value in found.items()}, largest)
        self._each.setdefault(name, []).append(each.detach().cpu().double())

    def _gather(self, name: str, sums: Mapping[str, Tensor], largest: float) -> None:
        known = self._sums.get(name)
        if known is None:
            self._sums[name], self._largest[name] = dict(sums), largest
            return
        for key, value in sums.items():
            if known[key].shape != value.shape:
                raise InputError(f"batches of {name} differ in shape: all have the same frames and the same grid")
            known[key] = known[key] + value
        both = torch.tensor([self._largest[name], largest], dtype=torch.float64)
        self._largest[name] = float(both.max())  # which keeps a NaN

    def _row(self, name: str, sums: Mapping[str, Tensor]) -> dict[str, float]:
        samples = sums["samples"]

        def mean(key: str) -> float:
            return float((sums[key] / samples).mean())

        row = {key: mean(key) for key in ("rmse", "nrmse", "vrmse")}
        row["relative_l2"] = float(norms.over(sums["squares of u - v"].sqrt(), sums["squares of v"].sqrt()))
        row["sample_relative_l2"] = mean("sample_relative_l2")
        row["max"] = self._largest[name]
        row["conserved_rmse"] = float((sums["conserved"] / samples).sqrt().mean())
        row |= {key: mean(key) for key in ("relative_h1", "boundary_rmse", *BANDS) if key in sums}
        times = self._times(sums)
        if len(times) > 1 and not int(sums["constant"]):
            curve = sums["correlation"] / samples
            lasting = float(correlation_time(curve, torch.tensor(times), threshold=self.threshold))
            row["correlation_time"] = min(lasting, times[-1])
        return row

    def _times(self, sums: Mapping[str, Tensor]) -> list[float]:
        return self.leads or [float(i + 1) for i in range(len(sums["rmse"]))]

    def _check_leads(self, name: str, frames: int) -> None:
        if self.leads is not None and len(self.leads) != frames:
            raise InputError(f"{name} has {frames} frames to judge and there are {len(self.leads)} lead times")

    def _grid(self, name: str) -> Grid | None:
        if self.grid is None or name not in self.axes:
            return self.grid
        lacking = [axis.name for axis in self.grid.axes if axis.name not in self.axes[name]]
        return self.grid.without(*lacking) if len(lacking) < len(self.grid.members) else None


def differentiable(grid: Grid) -> Grid | None:
    """The grid, with a lower accuracy where it is too coarse for its own; None where it is so for all."""
    fewest = min((member.size for member in grid.members if member.placement != "periodic"), default=grid.accuracy + 1)
    fitting = [accuracy for accuracy in (6, 4, 2) if accuracy <= grid.accuracy and fewest > accuracy]
    return replace(grid, accuracy=fitting[0]) if fitting else None
