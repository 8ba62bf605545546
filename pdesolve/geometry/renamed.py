"""Domains whose boundary parts have other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.axis import Axes
from pdesolve.geometry.curve import Chain
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.patch import Patch


@dataclass(frozen=True)
class Renamed(Domain):
    """A domain with other names for some parts of its boundary, {old: new}; two parts get no name in common.

    Raises:
        InputError: a part that there is not, or a name that two parts would have.
    """

    domain: Domain
    names: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in self.domain.boundaries:
                raise unknown_name("boundary", name, self.domain.boundaries)
        names = [self.names.get(name, name) for name in self.domain.boundaries]
        if len(set(names)) < len(names):
            raise InputError(f"parts of a boundary need different names, got {', '.join(names)}")

    @property
    def axes(self) -> Axes:  # type: ignore[override]
        return self.domain.axes

    @property
    def measure(self) -> float:
        return self.domain.measure

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        new = {self.names.get(name, name): part for name, part in self.domain.boundaries.items()}
        plane = len(self.axes) == 2
        return {name: Chain(name, (part,)) if plane else Patch(name, part) for name, part in new.items()}

    def inside(self, x: Tensor) -> Tensor:
        return self.domain.inside(x)
