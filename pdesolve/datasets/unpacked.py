"""Numbers as the CF conventions store them: packed into integers, with values that mean that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdesolve.data.arrays import Array, Slices


@dataclass(frozen=True, eq=False)
class Unpacked(Array):
    """scale * number + offset, NaN where the number is one of `fills` or outside of `valid`."""

    array: Array
    scale: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        found = self.array.dtype
        return found if found.kind == "f" else np.dtype("f4" if found.itemsize < 4 else "f8")

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self.array.chunks

    def read(self, index: Slices) -> np.ndarray:
        raw = self.array.read(index)
        values = raw.astype(self.dtype)
        missing = np.zeros(raw.shape, bool)
        for fill in self.fills:
            # a fill value of single precision may stand in an attribute of double precision
            missing |= np.isclose(raw, fill, rtol=1e-6, atol=0) if raw.dtype.kind == "f" else raw == fill
        if self.valid is not None:
            missing |= (raw < self.valid[0]) | (raw > self.valid[1])
        if (self.scale, self.offset) != (1.0, 0.0):
            values = (values * self.scale + self.offset).astype(self.dtype)
        values[missing] = np.nan
        return values


def unpacked(array: Array, attributes: Mapping[str, Any]) -> Array:
    """The numbers that the attributes of a variable mean; those of the file itself where they mean these."""
    scale, offset = (_numbers(attributes, name)[:1] or [usual] for name, usual in _USUAL.items())
    fills = [f for name in ("_FillValue", "missing_value") for f in _numbers(attributes, name) if f == f]
    valid = _valid(attributes)
    if array.dtype.kind not in "biuf" or ([*scale, *offset] == [1.0, 0.0] and not fills and valid is None):
        return array
    return Unpacked(array, scale[0], offset[0], tuple(dict.fromkeys(fills)), valid)


_USUAL = {"scale_factor": 1.0, "add_offset": 0.0}


def _valid(attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    both = _numbers(attributes, "valid_range")
    if len(both) == 2:
        return both[0], both[1]
    least, most = _numbers(attributes, "valid_min"), _numbers(attributes, "valid_max")
    return (least[0] if least else -np.inf, most[0] if most else np.inf) if least or most else None


def _numbers(attributes: Mapping[str, Any], name: str) -> list[float]:
    value = attributes.get(name)
    values = value if isinstance(value, (list, tuple)) else [value]
    return [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
