"""Symmetries of equations on boxes: motions of space that take solutions to solutions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.errors import InputError
from pdesolve.geometry import GridAxis

if TYPE_CHECKING:
    from pdesolve.data.signature import Signature, Slot

Kind = Literal["reflect", "exchange"]


@dataclass(frozen=True)
class Motion:
    """The motion that takes values on the axes `order` of a box to its axes, then reverses those that are `reversed`.

    (M u)(x₁, …, x_d) = u(y),   y_order[i] = x_i, or lower + upper − x_i where axis i is reversed

    Vectors are moved with their components; pseudo-scalars (vorticity) and the velocity along a single axis take the
    sign of the determinant.
    """

    order: tuple[int, ...]
    reversed: tuple[bool, ...]

    @property
    def inverse(self) -> Motion:
        back = tuple(self.order.index(i) for i in range(len(self.order)))
        return Motion(back, tuple(self.reversed[i] for i in back))

    @property
    def determinant(self) -> int:
        """1 for rotations, -1 where left and right are exchanged."""
        swaps = sum(a > b for a, b in itertools.combinations(self.order, 2))
        return (-1) ** (swaps + sum(self.reversed))

    def scalar(self, values: Tensor, members: Sequence[GridAxis]) -> Tensor:
        """Values (sample, time, component, *space) on a grid that the motion takes to itself, components untouched."""
        moved = values.permute(0, 1, 2, *(3 + i for i in self.order))
        for i, (member, turned) in enumerate(zip(members, self.reversed, strict=True), 3):
            if turned:
                moved = moved.flip(i)
                if member.placement == "periodic":  # the point at the lower end stays
                    moved = moved.roll(1, i)
        return moved

    def vector(self, values: Tensor, members: Sequence[GridAxis]) -> Tensor:
        """As `scalar`, of one component along each axis."""
        signs = values.new_tensor([-1.0 if turned else 1.0 for turned in self.reversed])
        moved = self.scalar(values, members)[:, :, list(self.order)]
        return moved * signs.view(1, 1, -1, *[1] * len(members))


@dataclass(frozen=True)
class Symmetries:
    """The group of motions of a box that an equation, its coefficients moved along with the state, does not notice.

    kinds: `reflect` along each axis, `exchange` of any two axes. odd: variables of one component that change sign
    under what exchanges left and right: the velocity on one axis, the vorticity on two.
    """

    kinds: tuple[Kind, ...]
    odd: tuple[str, ...] = ()

    def motions(self, axes: int) -> tuple[Motion, ...]:
        """All motions, the identity first."""
        every = tuple(range(axes))
        orders = tuple(itertools.permutations(every)) if "exchange" in self.kinds else (every,)
        turns = tuple(itertools.product((False, True), repeat=axes)) if "reflect" in self.kinds else ((False,) * axes,)
        return tuple(Motion(order, turned) for order in orders for turned in turns)

    def check(self, signature: Signature) -> None:
        """Refuse a grid or variables that the motions do not take to themselves.

        Raises:
            InputError: points without a grid, axes that differ, coordinates that are not symmetric, tensors.
        """
        if not signature.members:
            raise InputError("training.symmetries move values on a grid, these lie at points: leave them out")
        if "exchange" in self.kinds:
            first, *others = signature.members
            for other in others:
                a, b = first.axis, other.axis
                if (first.size, first.placement, a.periodic) != (other.size, other.placement, b.periodic) or (
                    abs(a.length - b.length) > 1e-9 * a.length
                ):
                    raise InputError(
                        f"training.symmetries exchange {a.name} (length {a.length:g}, {first.size} points) and "
                        f"{b.name} (length {b.length:g}, {other.size} points), which differ: leave exchange out"
                    )
        for member in signature.members if "reflect" in self.kinds else ():
            points = member.points + member.points[::-1] - member.axis.lower - member.axis.upper
            if member.placement != "periodic" and np.abs(points).max() > 1e-6 * member.axis.length:
                raise InputError(
                    f"training.symmetries reflect {member.axis.name}, whose points from {member.points[0]:g} to "
                    f"{member.points[-1]:g} are not symmetric between {member.axis.lower:g} and {member.axis.upper:g}: "
                    "add the points at the missing end, or leave reflect out"
                )
        names = {slot.name for slot in (*signature.inputs, *signature.targets)}
        for name in self.odd:
            if name not in names:
                raise InputError(f"training.odd names {name}, the variables are {', '.join(sorted(names))}")
        for slot in (*signature.inputs, *signature.targets):
            if slot.components not in (1, len(signature.axes)):
                raise InputError(
                    f"{slot.name} has {slot.components} components on {len(signature.axes)} axes, neither a scalar nor "
                    "a vector: training.symmetries cannot move it"
                )

    def moved(
        self, motion: Motion, values: Mapping[str, Tensor], slots: Sequence[Slot], members: Sequence[GridAxis]
    ) -> dict[str, Tensor]:
        """Variables {name: (sample, time, component, *space)} after a motion."""
        found = dict(values)
        for slot in slots:
            if slot.components > 1:
                found[slot.name] = motion.vector(values[slot.name], members)
            else:
                image = motion.scalar(values[slot.name], members)
                found[slot.name] = image * motion.determinant if slot.name in self.odd else image
        return found

    def spread(self, batch: Batch, signature: Signature, generator: torch.Generator) -> Batch:
        """The batch with its samples shared out evenly among the motions, which take turns by the generator."""
        motions = self.motions(len(signature.axes))
        turns = torch.randperm(len(motions), generator=generator).tolist()
        # shared out in the batch of all processes, so that each sample moves as it does in one
        edges = torch.linspace(0, batch.whole or len(batch), len(motions) + 1).round().int() - batch.begin
        edges = edges.clamp(0, len(batch)).tolist()
        parts: dict[str, list[dict[str, Tensor]]] = {"inputs": [], "targets": []}
        for turn, first, last in zip(turns, edges, edges[1:], strict=False):
            if last > first:
                for kind, slots in (("inputs", signature.inputs), ("targets", signature.targets)):
                    values = getattr(batch, kind)
                    some = {s.name: values[s.name].expand(len(batch), *values[s.name].shape[1:]) for s in slots}
                    some = {name: value[first:last] for name, value in some.items()}
                    parts[kind].append(self.moved(motions[turn], some, slots, signature.members))
        joined = {
            kind: {name: torch.cat([part[name] for part in found]) for name in found[0]}
            for kind, found in parts.items()
        }
        return replace(batch, inputs=joined["inputs"], targets=joined["targets"])
