"""Where the values of a batch lie, as networks read it."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Grid, GridAxis, Mesh, PointCloud
from pdesolve.gridded import member_at
from pdesolve.nn.places import GridPlaces, Places, PointPlaces


class Placing:
    """The places of batches of one signature. Grids are read once for each shape, and kept."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._kept: dict[tuple[object, ...], Places] = {}

    def of(self, batch: Batch, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Places:
        """The places of a batch.

        Raises:
            InputError: other axes than those of the signature, or a grid for each sample.
        """
        signature = self.signature
        if not signature.members:
            return self._points(batch, dtype, device)
        fields = batch.inputs if signature.inputs else batch.targets
        names = [slot.name for slot in (signature.inputs or signature.targets)]
        for name in names:
            if fields[name].ndim - 3 != len(signature.axes):
                raise InputError(
                    f"{name} lies on {fields[name].ndim - 3} axes of space, the surrogate was trained on "
                    f"{len(signature.axes)} ({', '.join(axis.name for axis in signature.axes)})"
                )
        sizes = [max(column) for column in zip(*(fields[name].shape[3:] for name in names), strict=True)]
        # fields that are the same all along an axis have one value there
        shape = tuple(
            self._size(batch, known) if size == 1 else size
            for size, known in zip(sizes, signature.members, strict=True)
        )
        key = (shape, dtype, str(device))
        if key not in self._kept:
            self._kept[key] = GridPlaces.of(self._grid(batch, shape), dtype=dtype, device=device)
        return self._kept[key]

    def drawn(self, batch: Batch, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Places:
        """The places of targets that were drawn, of each window its own.

        Raises:
            InputError: axes without coordinates, of which the places are not known.
        """
        axes = Axes(self.signature.axes)
        unknown = [name for name in axes.names if name not in batch.target_coordinates]
        if unknown:
            raise InputError(
                f"{', '.join(unknown)} has no coordinates, so that drawn points have no place: train on whole fields"
            )
        columns = [batch.target_coordinates[name].to(dtype=dtype, device=device) for name in axes.names]
        return PointPlaces.of(axes, torch.stack(columns, -1))

    def _size(self, batch: Batch, known: GridAxis) -> int:
        points = batch.coordinates.get(known.axis.name)
        return known.size if points is None else points.shape[-1]

    def _grid(self, batch: Batch, shape: tuple[int, ...]) -> Grid:
        members = []
        for size, known in zip(shape, self.signature.members, strict=True):
            points = batch.coordinates.get(known.axis.name)
            if points is not None and points.ndim > 1:
                raise InputError(f"{known.axis.name} has other coordinates in each sample: a grid for all is needed")
            if points is None or size == known.size:
                members.append(resized(known, size))
            else:
                members.append(member_at(known.axis, points.cpu().numpy()))
        return Grid(tuple(members))

    def _points(self, batch: Batch, dtype: torch.dtype, device: torch.device | str) -> PointPlaces:
        axes = Axes(self.signature.axes)
        clouds = [points_of(d) for d in batch.discretisations]
        if not clouds:
            raise InputError("the places of the points are not known: a surrogate of points needs them")
        if len(clouds) == 1:
            return PointPlaces.of(axes, clouds[0].to(dtype=dtype, device=device)[None])
        longest = max(len(cloud) for cloud in clouds)
        lower = torch.tensor([axis.lower for axis in axes], dtype=dtype)
        points = lower.expand(len(clouds), longest, -1).clone()
        mask = torch.zeros(len(clouds), longest, dtype=torch.bool)
        for i, cloud in enumerate(clouds):
            points[i, : len(cloud)] = cloud
            mask[i, : len(cloud)] = True
        return PointPlaces.of(axes, points.to(device), mask=mask.to(device))


def resized(member: GridAxis, size: int) -> GridAxis:
    """An axis of the same placement with another number of points.

    Raises:
        InputError: points that were listed, of which no others are known.
    """
    if size == member.size:
        return member
    if member.placement == "listed":
        raise InputError(
            f"{member.axis.name} was trained on {member.size} listed coordinates and these data have {size} without "
            "coordinates: give data with coordinates"
        )
    return GridAxis(member.axis, member.placement, size)


def points_of(discretisation: object) -> Tensor:
    """The points (point, axis) of a cloud, the nodes of a mesh.

    Raises:
        InputError: a grid.
    """
    if isinstance(discretisation, PointCloud):
        return discretisation.x
    if isinstance(discretisation, Mesh):
        return discretisation.points
    raise InputError(f"points or a mesh are needed, got {type(discretisation).__name__}")
