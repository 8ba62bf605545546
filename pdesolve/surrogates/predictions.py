"""What a surrogate predicts of data whose targets need not be known, as labelled data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature, places_of
from pdesolve.data.task import Task, Trajectory
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.exhaustion import in_parts
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.gridded import at
from pdesolve.method import Surrogate
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.surrogates.compatibility import check_data, check_finite
from pdesolve.surrogates.placing import points_of, resized
from pdesolve.surrogates.rollout import OnDivergence

if TYPE_CHECKING:
    import xarray as xr

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Predictions:
    """dataset: of the targets, with what was given and does not move beside. diverged: (sample,) the step of a rollout
    at which each sample diverged, counted from 1; 0 where it did not."""

    dataset: xr.Dataset
    diverged: np.ndarray


def predicted(
    surrogate: Surrogate, data: Dataset, *, steps: int = 0, on_divergence: OnDivergence = "stop",
    sizes: tuple[int, ...] | None = None, points: np.ndarray | None = None, dtype: torch.dtype = torch.float32,
) -> Predictions:  # fmt: skip
    """The predictions of all samples from their first frames on; frames and variables that are wanted are not read.

    steps: of a rollout, 0 for one prediction. sizes: of another grid along the axes of space; surrogates that read
    elsewhere are read there, others are given inputs that are interpolated (coefficients that jump overshoot then).
    points: (point, axis) to read at; of surrogates that do not, the grid is interpolated.

    Raises:
        InputError: data of other variables, axes or spacing, values that are not finite, sizes below what a network
            can work on, places outside of the axes.
        Diverged: with on_divergence="raise".
    """
    signature = surrogate.signature
    windows = given_windows(signature, data, dtype=dtype)
    used = windows.dataset
    _, members = places_of(data)
    if (sizes is not None or points is not None) and not (members and signature.members):
        raise InputError("another grid or points need data on a grid, and these lie at points: leave them out")
    grid = Grid(members) if members else None
    if sizes is not None:
        if len(sizes) != len(members):
            raise InputError(f"--grid needs {len(members)} numbers, one for each axis of space, got {len(sizes)}")
        grid = Grid(tuple(resized(m, size) for m, size in zip(members, sizes, strict=True)))
    at = None
    if surrogate.elsewhere and points is not None:
        at = PointPlaces.of(Axes(signature.axes), torch.as_tensor(points, dtype=surrogate.dtype)[None])
        at = replace(at, points=at.points.to(surrogate.device), parts=at.parts.to(surrogate.device))
    elif surrogate.elsewhere and sizes is not None and grid is not None:
        at = GridPlaces.of(grid, dtype=surrogate.dtype, device=surrogate.device)
    parts: dict[str, list[Tensor]] = {slot.name: [] for slot in signature.targets}
    diverged: list[Tensor] = []

    def guessed(part: range) -> tuple[dict[str, Tensor], Tensor]:
        batch = windows.batch(part)
        check_finite(batch.inputs, batch.numbers)
        if sizes is not None and at is None and grid is not None:
            batch = on_grid(batch, members, grid)
        batch = batch.to(surrogate.device)
        if steps:
            rollout = surrogate.rollout(batch, steps, on_divergence=on_divergence, at=at)
            found, when = rollout.states, rollout.diverged.cpu()
        else:
            found, when = surrogate.predict(batch, at), torch.zeros(len(batch), dtype=torch.long)
        return {name: _without_padding(values, batch).cpu() for name, values in found.items()}, when

    for found, when in in_parts(len(windows), guessed, size=_BATCH):
        diverged.append(when)
        for name, values in found.items():
            parts[name].append(values)
    values = {name: _joined(rows) for name, rows in parts.items()}
    scattered = at is not None and points is not None
    labelled = _labelled(signature, data, used, values, None if scattered else grid)
    if scattered and points is not None:
        columns = {a.name: ("point", points[:, i], {"units": a.unit or "1"}) for i, a in enumerate(signature.axes)}
        labelled = labelled.assign_coords(columns)
    elif points is not None:
        labelled = _at_points(labelled, signature.axes, points)
    elif grid is None:
        labelled = labelled.assign_coords(_scattered(used))
    return Predictions(labelled, torch.cat(diverged).numpy())


def given_windows(signature: Signature, data: Dataset, *, dtype: torch.dtype = torch.float32) -> Windows:
    """One window a sample, of what a surrogate is given: the first frames, nothing of the targets.

    Raises:
        InputError: data of other variables, components, axes or spacing than it was trained on.
    """
    check_data(signature, data, signature.inputs or signature.targets)
    names = tuple(slot.name for slot in signature.inputs)
    parameters = tuple(slot.name for slot in signature.parameters)
    if not names:  # parameters alone: the grid is that of the targets
        return Windows(data, signature.task, dtype=dtype)
    moving = [slot for slot in signature.inputs if slot.moving]
    stride = getattr(signature.frames, "stride", 1)
    if moving and "t" in data.sizes:
        past = moving[0].frames
        if data.sizes["t"] < (past - 1) * stride + 1:
            raise InputError(
                f"{past} frames, {stride} apart, are given to this surrogate and the data have {data.sizes['t']}: "
                "give longer trajectories"
            )
        data = data.isel({"t": slice(0, (past - 1) * stride + 1, stride)})
    frames = Trajectory(past=moving[0].frames) if moving else None
    axes = tuple(member.axis.name for member in signature.members)
    return Windows(data, Task(names, names, frames, parameters), dtype=dtype, axes=axes)


def on_grid(batch: Batch, members: tuple[GridAxis, ...], grid: Grid) -> Batch:
    """The inputs of a batch on another grid: by Fourier series along periodic axes, else by polynomials of degree 7."""
    by_name = {member.axis.name: member for member in members}
    inputs = {}
    for name, values in batch.inputs.items():
        own = tuple(by_name[axis] for axis in batch.dims[name])
        wanted = Grid(tuple(grid[axis] for axis in batch.dims[name]))
        whole = values.double().expand(*values.shape[:3], *(member.size for member in own))
        field = GridField(whole, Grid(own), Quantity(name))
        inputs[name] = interpolate(field, Coordinates(wanted)).values.to(values.dtype)
    coordinates = {m.axis.name: torch.as_tensor(m.points) for m in grid.members}
    return replace(batch, inputs=inputs, targets={}, coordinates=coordinates)


def _without_padding(values: Tensor, batch: Batch) -> Tensor:
    """Values (sample, time, component, *space) with NaN where a sample has fewer points than others of its batch."""
    for mask in batch.mask.values():
        values = values.masked_fill(~mask[:, None, None].to(values.device), torch.nan)
    return values


def _joined(rows: list[Tensor]) -> np.ndarray:
    """Batches as one, filled up with NaN where their samples have fewer points than those of others."""
    longest = max(values.shape[-1] for values in rows)
    return torch.cat([pad(values, (0, longest - values.shape[-1]), value=torch.nan) for values in rows]).numpy()


def _scattered(used: Dataset) -> dict[str, Any]:
    """Coordinates of nodes or points, (point,) where all samples share them, else (sample, point), NaN where a sample
    has fewer."""
    dim = next(dim for dim in used.space if dim in SCATTERED)
    clouds = [points_of(mesh).cpu().numpy() for mesh in used.meshes]
    table = np.full((len(clouds), max(map(len, clouds)), clouds[0].shape[1]), np.nan)
    for row, cloud in zip(table, clouds, strict=True):
        row[: len(cloud)] = cloud
    dims, places = ((SAMPLE, dim), table) if len(clouds) > 1 else ((dim,), table[0])
    axes = used.meshes[0].axes.space
    return {axis.name: (dims, places[..., i], {"units": axis.unit or "1"}) for i, axis in enumerate(axes)}


def _labelled(
    signature: Signature, data: Dataset, used: Dataset, values: Mapping[str, np.ndarray], grid: Grid | None
) -> xr.Dataset:
    """Predictions (sample, time, component, *space) with names; grid: None where they are at points."""
    scattered = tuple(dim for dim in used.space if dim in SCATTERED) or ("point",)
    space = grid.axes.names if grid is not None else scattered
    moving = signature.frames is not None
    variables: dict[str, Variable] = {}
    for slot in signature.targets:
        known = data.variables.get(slot.name)
        names = known.components if known is not None and known.components else ()
        if not names and slot.components > 1:
            names = tuple(str(i) for i in range(slot.components))
        dims = (SAMPLE, *(("t",) if moving else ()), *((COMPONENT,) if names else ()), *space)
        array = values[slot.name]
        array = array.reshape([n for n, kept in zip(array.shape, (True, moving, bool(names)), strict=False) if kept]
                              + list(array.shape[3:]))  # fmt: skip
        variables[slot.name] = Variable(slot.name, Memory(array), dims, slot.unit, names)
    for name, variable in used.variables.items():
        if "t" not in variable.dims and name not in variables and grid is not None:
            variables[name] = _moved(variable, used, grid)
    coordinates = {}
    if moving:
        times = _times(signature, data, next(iter(values.values())).shape[1])
        label = data.coordinates["t"].label if "t" in data.coordinates else ""
        unit = data.coordinates["t"].axis.unit if "t" in data.coordinates else None
        last = float(times[-1])
        axis = Axis("t", min(0.0, float(times[0])), last if last > min(0.0, float(times[0])) else last + 1.0, unit)
        coordinates["t"] = Coordinate(axis, times, label)
    if grid is not None:
        for member in grid.members:
            known_axis = data.coordinates.get(member.axis.name)
            label = "" if known_axis is None else known_axis.label
            coordinates[member.axis.name] = Coordinate(member.axis, np.asarray(member.points), label)
    own = {n: v for n, v in data.parameters.items() if "t" not in v.dims}
    parameters = {n: replace(v, array=Memory(np.asarray(v.array.all()))) for n, v in own.items()}
    made = Dataset(variables, coordinates, parameters, attributes=dict(data.attributes))
    return made.to_xarray().load()


def _moved(variable: Variable, used: Dataset, grid: Grid) -> Variable:
    """What was given and does not move, on the grid of the predictions."""
    axes = tuple(dim for dim in variable.dims if dim not in (SAMPLE, COMPONENT))
    _, members = places_of(used)
    own = Grid(tuple(member for member in members if member.axis.name in axes))
    values = np.asarray(variable.array.all())
    field = GridField(torch.as_tensor(values.astype(float)), own, Quantity(variable.name))
    wanted = Grid(tuple(grid[axis] for axis in axes))
    if own != wanted:
        values = interpolate(field, Coordinates(wanted)).values.numpy().astype(values.dtype)
    return replace(variable, array=Memory(values))


def _times(signature: Signature, data: Dataset, count: int) -> np.ndarray:
    """The times of predicted frames: those of the data, and behind their last one by the spacing of training."""
    frames = signature.frames
    assert frames is not None
    stride = getattr(frames, "stride", 1)
    known = data.coordinates.get("t")
    points = None if known is None or known.points.ndim > 1 else np.asarray(known.points, float)
    length = data.sizes.get("t", 0 if points is None else len(points))
    wanted = frames.wanted(length) if length else range(count)
    start, step = (wanted.start, wanted.step) if len(wanted) else (0, stride)
    numbers = start + step * np.arange(count)
    if points is None:
        return numbers.astype(float)
    if numbers[-1] < len(points):
        return points[numbers]
    gap = signature.spacing / stride if signature.spacing else float(np.diff(points).mean()) if len(points) > 1 else 1.0
    behind = points[-1] + gap * (numbers - (len(points) - 1))
    return np.where(numbers < len(points), points[np.minimum(numbers, len(points) - 1)], behind)


def _at_points(labelled: xr.Dataset, axes: tuple[Axis, ...], points: np.ndarray) -> xr.Dataset:
    import xarray as xr

    return at(labelled, {a.name: xr.DataArray(points[:, i], dims="point") for i, a in enumerate(axes)})


def told(found: Predictions, about: Mapping[str, Any]) -> Predictions:
    """The predictions with more said in the attributes of their data set."""
    return replace(found, dataset=found.dataset.assign_attrs(plain_attributes(about)))


def plain_attributes(about: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Attributes as files hold them; what is no text or number as JSON."""
    return {k: v if isinstance(v, (str, int, float)) else json.dumps(v, default=str) for k, v in about.items()}
