"""What is in a data set: `pdesolve data info`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pdesolve.data.blocks import BLOCK_BYTES, blocks, spread
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Coordinate, Dataset, Variable
from pdesolve.data.moments import merged
from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.gridded import member_at
from pdesolve.labelled import dataset_of

if TYPE_CHECKING:
    import xarray as xr

STATISTICS_BYTES = 256 * 2**20  # of each variable, read for its statistics; of larger ones evenly spread pieces
_SHADES = " .:-=+*#%@"


@dataclass(frozen=True)
class Statistics:
    """Of the numbers that were read: all of a variable, or the part `read` of it. Those that are not finite do not
    count but in `missing`."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    standard_deviation: float | None
    missing: int
    read: float


def statistics(variable: Variable, *, budget: int = STATISTICS_BYTES, block: int = BLOCK_BYTES) -> Statistics:
    """Least, largest, mean and spread of a variable, in one pass over `budget` bytes at most."""
    pieces = blocks(variable, limit=block)
    chosen = spread(pieces, variable, budget)
    so_far, missing, low, high = (0, np.zeros(1), np.zeros(1)), 0, math.inf, -math.inf
    for piece in chosen:
        values = variable.array.read(piece).reshape(-1)
        values = values.view(f"f{values.dtype.itemsize // 2}") if np.iscomplexobj(values) else values.astype(float)
        finite = values[np.isfinite(values)]
        missing += values.size - finite.size
        if finite.size:
            so_far = merged(so_far, finite[None])
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    part = sum(math.prod(p.stop - p.start for p in piece) for piece in chosen) / max(1, math.prod(variable.array.shape))
    count, mean, squares = so_far
    if not count:
        return Statistics(None, None, None, None, missing, part)
    return Statistics(low, high, float(mean[0]), math.sqrt(squares[0] / count), missing, part)


def information(dataset: Dataset) -> dict[str, Any]:
    """All that `pdesolve data info` prints, as an object for JSON."""
    stored = sum(path.stat().st_size for path in dataset.paths if path.is_file())
    return {
        "layout": dataset.layout,
        "files": [str(path) for path in dataset.paths],
        "samples": dataset.samples,
        "bytes_stored": stored,
        "bytes": dataset.nbytes,
        "variables": {name: _about(variable) for name, variable in dataset.variables.items()},
        "axes": {name: _axis(coordinate) for name, coordinate in dataset.coordinates.items()},
        "parameters": {name: _about(variable) for name, variable in dataset.parameters.items()},
        "meshes": _meshes(dataset),
        "splits": {name: len(numbers) for name, numbers in dataset.splits.items()},
        "notes": list(dataset.notes),
        "attributes": {str(k): plain(v) for k, v in dataset.attributes.items()},
    }


def text(about: Mapping[str, Any]) -> str:
    """The same for people."""
    files = about["files"]
    first = files[0] if files else "memory"
    more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
    lines = [
        f"{first}{more}",
        f"layout   {about['layout']}",
        f"samples  {about['samples']}",
        f"size     {size_text(about['bytes_stored'])} in files, {size_text(about['bytes'])} in memory",
    ]
    for title in ("variables", "parameters"):
        if about[title]:
            lines += ["", title]
            lines += [f"  {name}  {_variable_text(entry)}" for name, entry in about[title].items()]
    if about["axes"]:
        lines += ["", "axes"]
        lines += [f"  {name}  {_axis_text(entry)}" for name, entry in about["axes"].items()]
    if about["meshes"]:
        lines += ["", f"meshes   {about['meshes']}"]
    if about["splits"]:
        lines += ["", "splits   " + ", ".join(f"{name} {n}" for name, n in about["splits"].items())]
    if about["notes"]:
        lines += ["", "notes", *[f"  {note}" for note in about["notes"]]]
    if about["attributes"]:
        lines += ["", "attributes"]
        lines += [f"  {name}  {_shortened(str(value))}" for name, value in about["attributes"].items()]
    return "\n".join(lines)


def thumbnail(dataset: Dataset, *, width: int = 48, height: int = 12) -> str:
    """The last frame of the first sample, of the first variable over one or two axes, in characters; else nothing."""
    for name, variable in dataset.variables.items():
        if not 1 <= len([dim for dim in variable.dims if dim in dataset.coordinates and dim != "t"]) <= 2:
            continue
        places = {dim: -1 if dim == "t" else 0 for dim in variable.dims if dim in (SAMPLE, "t", "component")}
        values = np.asarray(dataset.read(name, places))
        values = np.real(values).astype(float)
        if not np.isfinite(values).any():
            continue
        x = np.linspace(0, values.shape[0] - 1, min(width, values.shape[0])).round().astype(int)
        low, span = np.nanmin(values), (np.nanmax(values) - np.nanmin(values)) or 1.0
        if values.ndim == 1:
            level = np.nan_to_num((values[x] - low) / span * (height - 1)).round().astype(int)
            rows = ["".join("*" if n == row else " " for n in level) for row in range(height - 1, -1, -1)]
        else:
            y = np.linspace(0, values.shape[1] - 1, min(height, values.shape[1])).round().astype(int)[::-1]
            shade = np.nan_to_num((values[np.ix_(x, y)].T - low) / span * (len(_SHADES) - 1)).round().astype(int)
            rows = ["".join(_SHADES[n] for n in row) for row in shade]
        return "\n".join([f"{name}, the first sample:", *[row.rstrip() for row in rows]])
    return ""


def first_sample(dataset: Dataset) -> xr.Dataset:
    """The variables of the first sample as they can be drawn: a scalar for each component, nodes as points.

    Raises:
        InputError: nothing over axes, points or the nodes of a mesh.
    """
    mesh = dataset.meshes[0] if dataset.meshes else None
    variables: dict[str, Any] = {}
    for name, variable in dataset.variables.items():
        if "cell" in variable.dims or variable.array.dtype.kind not in "fiub":
            continue
        dims = [dim for dim in variable.dims if dim != SAMPLE]
        values = dataset.read(name, {} if SAMPLE not in variable.dims and not dataset.offsets else {SAMPLE: 0})
        dims = ["point" if dim in SCATTERED else dim for dim in dims]
        attributes = {"units": variable.unit or "1", "long_name": variable.long_name or name}
        if COMPONENT in dims:
            position = dims.index(COMPONENT)
            rest = [dim for dim in dims if dim != COMPONENT]
            for i, component in enumerate(variable.components):
                variables[f"{name}_{component}"] = (rest, values.take(i, position), attributes)
        else:
            variables[name] = (dims, values, attributes)
    if not any(entry[0] for entry in variables.values()):
        raise InputError(f"nothing to draw: expected fields over axes or points, got {', '.join(dataset.variables)}")
    coordinates: dict[str, Any] = {}
    for name, coordinate in dataset.coordinates.items():
        points = coordinate.points if coordinate.points.ndim == 1 else coordinate.points[0]
        coordinates[name] = ((name,), points, {"units": coordinate.label or coordinate.axis.unit or "1"})
    if mesh is not None and not isinstance(mesh, Grid):
        columns = mesh.columns(dtype=torch.float64, device="cpu")
        coordinates |= {name: (("point",), column.numpy()) for name, column in columns.items() if name != "t"}
    return dataset_of(variables, {}, coordinates)


def size_text(size: float) -> str:
    """Bytes for people: 1.5 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def plain(value: Any) -> Any:
    """A value of an attribute for JSON: figures that are not finite are null, long arrays are told by their shape."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()] if value.size <= 20 else f"array {value.shape}"
    if isinstance(value, (np.generic,)):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if isinstance(value, (int, str, bool)) or value is None else str(value)


def _about(variable: Variable) -> dict[str, Any]:
    array = variable.array
    known = {
        "dims": list(variable.dims),
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "chunks": None if array.chunks is None else list(array.chunks),
        "unit": variable.unit,
        "components": list(variable.components),
        "long_name": variable.long_name,
    }
    return known | ({"statistics": asdict(statistics(variable))} if array.dtype.kind in "fiubc" else {})


def _axis(coordinate: Coordinate) -> dict[str, Any]:
    axis, points = coordinate.axis, coordinate.points
    placement = "differs between samples"
    if points.ndim == 1:
        try:
            placement = member_at(axis, points).placement
        except InputError:
            placement = "not ascending"
    return {
        "size": points.shape[-1],
        "lower": axis.lower,
        "upper": axis.upper,
        "periodic": axis.periodic,
        "placement": placement,
        "unit": coordinate.label or axis.unit,
    }


def _meshes(dataset: Dataset) -> str:
    if not dataset.meshes:
        return ""
    kind, count = type(dataset.meshes[0]).__name__, len(dataset.meshes)
    which = "one for all samples" if count == 1 else f"{count}, one for each sample"
    return f"{kind}, {which}, the first with {dataset.meshes[0].shape[0]} points"


def _variable_text(entry: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{dim} {n}" for dim, n in zip(entry["dims"], entry["shape"], strict=True)) or "one number"
    words = [f"({sizes})", entry["dtype"]]
    words += [f"[{entry['unit']}]"] if entry["unit"] else []
    words += [f"components {', '.join(entry['components'])}"] if entry["components"] else []
    found = entry.get("statistics")
    if found and found["mean"] is not None:
        part = "" if found["read"] == 1 else f", from {found['read']:.1%} of it"
        if found["minimum"] == found["maximum"]:
            words.append(f"{found['minimum']:.6g}{part}")
        else:
            spread = f"mean {found['mean']:.4g}, standard deviation {found['standard_deviation']:.4g}"
            words.append(f"from {found['minimum']:.4g} to {found['maximum']:.4g}, {spread}{part}")
    if found and found["missing"]:
        words.append(f"{found['missing']} NOT FINITE")
    return "  ".join(words)


def _axis_text(entry: Mapping[str, Any]) -> str:
    unit = f" {entry['unit']}" if entry["unit"] not in (None, "", "1") else ""
    kind = (
        f"periodic, {entry['placement']}"
        if entry["periodic"] and entry["placement"] != "periodic"
        else entry["placement"]
    )
    return f"{entry['size']} points from {entry['lower']:.6g} to {entry['upper']:.6g}{unit}, {kind}"


def _shortened(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= 90 else f"{value[:87]}..."
