"""The rules of the Well's files, from its description (docs/data_format.md) and from what its checker asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np


def well_faults(path: Path) -> Iterator[str]:
    """What in a file breaks the rules."""
    with h5py.File(path) as file:
        about = file.attrs
        for name, kind in {"dataset_name": str, "grid_type": str, "n_spatial_dims": np.integer}.items():
            if not isinstance(about.get(name), kind):
                yield f"{name} is no {kind.__name__}"
        yield from (f"no attribute {name}" for name in about["simulation_parameters"] if name not in about)
        axes, samples = list(file["dimensions"].attrs["spatial_dims"]), int(about["n_trajectories"])
        if len(axes) != about["n_spatial_dims"] or not axes:
            yield "n_spatial_dims is not the number of spatial_dims"
        sizes = [file["dimensions"][axis].shape[-1] for axis in axes]
        frames = file["dimensions"]["time"].shape[-1]
        for axis in ("time", *axes):
            yield from _flag_faults(file["dimensions"][axis])
        for order in range(3):
            for name in _names(file[f"t{order}_fields"]):
                field = file[f"t{order}_fields"][name]
                yield from _flag_faults(field)
                varying = field.attrs["dim_varying"]
                if varying.dtype != bool or len(varying) != len(axes):
                    yield f"dim_varying of {name}"
                expected = [samples] * bool(field.attrs["sample_varying"]) + [frames] * bool(
                    field.attrs["time_varying"]
                )
                expected += [n for n, there in zip(sizes, varying, strict=True) if there] + [len(axes)] * order
                if list(field.shape) != expected:
                    yield f"{name} has the shape {field.shape}, expected {expected}"
        for name in _names(file["scalars"]):
            scalar = file["scalars"][name]
            yield from _flag_faults(scalar)
            if scalar.ndim != int(scalar.attrs["sample_varying"]) + int(scalar.attrs["time_varying"]):
                yield f"{name} has the shape {scalar.shape}"
        for name, boundary in file["boundary_conditions"].items():
            yield from _flag_faults(boundary)
            if (
                boundary.attrs["bc_type"] not in ("WALL", "OPEN", "PERIODIC")
                or "associated_fields" not in boundary.attrs
            ):
                yield f"the type of {name}"
            of = list(boundary.attrs["associated_dims"])
            if list(boundary["mask"].shape) != [sizes[axes.index(axis)] for axis in of] or not of:
                yield f"the mask of {name}"


def _names(group: h5py.Group) -> list[str]:
    names = group.attrs["field_names"]
    assert isinstance(names, np.ndarray) and all(isinstance(name, str) for name in names)
    return list(names)


def _flag_faults(node: h5py.Dataset | h5py.Group) -> Iterator[str]:
    for flag in ("sample_varying", "time_varying"):
        if not isinstance(node.attrs.get(flag), np.bool_):
            yield f"{flag} of {node.name} is no truth value"
