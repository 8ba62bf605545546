"""Trajectories of APEBench: a .npy file, and a .json file of their settings beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pdesolve.data.dataset import COMPONENT, SAMPLE, Coordinate, Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import arranged, parameter, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.numpy_files import BARE
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

_SPLITS = ("_train", "_test")
_SPACE = ("x", "y", "z")
_MOST = 2**24  # bytes of settings


class APEBench(Layout):
    """(sample, t, component, space...) of Koehler et al. (2024, arXiv 2411.00180) on the half-open periodic grid of
    `domain_extent` (1 where the settings have none), the initial state first.

    Frames are `dt` apart where the settings have it; else `t` counts steps. Single numbers among the settings are
    parameters, all others attributes.
    """

    name = "apebench"
    containers = ("npy",)

    def refusal(self, path: Path) -> str | None:
        about = _settings(path)
        if about is None:
            return "no .json file beside it with the settings of a scenario (num_spatial_dims, num_points)"
        array = bundle(path).arrays[BARE]
        d = about["num_spatial_dims"]
        if len(array.shape) != d + 3 or len(set(array.shape[3:])) > 1:
            return f"{array.shape} is not (sample, t, component) and {d} equal dimensions of space, as its settings say"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        about = _settings(path)
        assert about is not None
        found = bundle(path)
        array = found.arrays[BARE]
        space, n, frames = _SPACE[: about["num_spatial_dims"]], array.shape[-1], array.shape[1]
        if n != about["num_points"]:
            raise InputError(f"{path} has {n} points along an axis, its settings say num_points {about['num_points']}")
        length = float(_number(about, "domain_extent") or 1.0)
        step = float(_number(about, "dt") or 1.0)
        coordinates: dict[str, Coordinate] = {}
        if frames > 1:
            coordinates["t"] = Coordinate(Axis("t", 0.0, step * (frames - 1)), step * np.arange(frames))
        for axis in space:
            coordinates[axis] = Coordinate(Axis(axis, 0.0, length, periodic=True), length * np.arange(n) / n)
        dims = (SAMPLE, "t", COMPONENT, *space)
        values = {key: _number(about, key) for key in about}
        scalars = {key: parameter(key, value) for key, value in values.items() if value is not None}
        attributes = {key: value for key, value in about.items() if isinstance(value, str)}
        return Dataset(
            {"u": arranged("u", array, dims)}, coordinates, scalars, attributes=attributes, layout=self.name,
            paths=(found.path,),
        )  # fmt: skip


def _number(about: dict[str, Any], key: str) -> float | None:
    value = about.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _settings(path: Path) -> dict[str, Any] | None:
    """The settings of the scenario, which lie beside the arrays."""
    stem = next((path.stem.removesuffix(split) for split in _SPLITS if path.stem.endswith(split)), path.stem)
    beside = path.with_name(f"{stem}.json")
    if not beside.is_file() or beside.stat().st_size > _MOST:
        return None
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None
    about = found.get("info", found) if isinstance(found, dict) else None
    if not isinstance(about, dict):
        return None
    sizes = [about.get(key) for key in ("num_spatial_dims", "num_points")]
    return about if all(isinstance(n, int) for n in sizes) and 1 <= sizes[0] <= 3 else None  # type: ignore[operator]
