"""Point location: which cell of a mesh a point is in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pdesolve.geometry.mesh import Mesh

_LEAF = 4  # cells of a leaf of the tree
_CHUNK = 2**15  # points at once
_ROUNDING = 64  # rounding units of the greatest coordinate: points this far outside are inside, as boundaries are
_WIDER = 1e-3  # of a cell: the boxes that are looked through are wider by this, more than rounding is


class Locator:
    """Finds cells of one mesh by a tree of bounding boxes: O(log cells) a point, whatever the sizes of the cells."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        corners = mesh.points[mesh.cells]
        lower, upper = corners.amin(1), corners.amax(1)
        slack = _WIDER * (upper - lower).amax(1, keepdim=True)
        lower, upper = lower - slack, upper + slack
        depth = max(0, math.ceil(math.log2(len(lower) / _LEAF)))
        # the leaves are equally full: the last cell is repeated, which does no harm
        width = math.ceil(len(lower) / 2**depth)
        order = torch.arange(width * 2**depth).clamp(max=len(lower) - 1)[None]
        centres = (lower + upper) / 2
        for _ in range(depth):  # halve each node at the median along its longest side
            inside = centres[order]
            axis = (inside.amax(1) - inside.amin(1)).argmax(1)
            along = inside.gather(2, axis[:, None, None].expand(-1, order.shape[1], 1))[..., 0]
            order = order.gather(1, along.argsort(dim=1, stable=True)).reshape(2 * len(order), -1)
        self.leaves = order
        boxes = [(lower[order].amin(1), upper[order].amax(1))]
        for _ in range(depth):
            low, high = boxes[0]
            boxes.insert(0, (low.reshape(-1, 2, low.shape[1]).amin(1), high.reshape(-1, 2, high.shape[1]).amax(1)))
        self.boxes = boxes
        self.origins = corners[:, 0]
        self.heights = 1 / torch.linalg.vector_norm(mesh.gradients, dim=2)  # of the vertices over their facets

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cell (n,) of each point x (n, axis), -1 outside the mesh, and its barycentric coordinates (n, d + 1).

        On facets one of the cells is taken. The results are on the CPU, the coordinates float64.
        """
        slack = _ROUNDING * torch.finfo(x.dtype).eps * float(self.mesh.points.abs().max())
        x = x.detach().to(device="cpu", dtype=torch.float64)
        parts = [self._locate(part, slack) for part in x.split(_CHUNK)]
        cells, coordinates = zip(*parts, strict=True)
        return torch.cat(cells), torch.cat(coordinates)

    def _locate(self, x: Tensor, slack: float) -> tuple[Tensor, Tensor]:
        d = x.shape[1]
        point, node = torch.arange(len(x)), torch.zeros(len(x), dtype=torch.int64)
        for level, (low, high) in enumerate(self.boxes):
            if level:
                point = point.repeat_interleave(2)
                node = torch.stack([2 * node, 2 * node + 1], 1).reshape(-1)
            at = x[point]
            hit = ((at >= low[node]) & (at <= high[node])).all(1)
            point, node = point[hit], node[hit]
        point = point.repeat_interleave(self.leaves.shape[1])
        cell = self.leaves[node].reshape(-1)
        others = torch.einsum("pia,pa->pi", self.mesh.gradients[cell, 1:], x[point] - self.origins[cell])
        coordinates = torch.cat([1 - others.sum(1, keepdim=True), others], 1)
        least = (coordinates * self.heights[cell]).amin(1)  # how far inside
        found, best = torch.full((len(x),), -1), torch.full((len(x),), -slack, dtype=torch.float64)
        result = torch.zeros(len(x), d + 1, dtype=torch.float64)
        deepest = best.scatter_reduce(0, point, least, "amax")
        chosen = (least >= deepest[point]).nonzero()[:, 0]
        found[point[chosen]] = cell[chosen]
        # the cell that was written, where several are as deep
        taken = chosen[found[point[chosen]] == cell[chosen]]
        result[point[taken]] = coordinates[taken]
        return found, result
