"""Axes, domains, grids and points: where problems are posed and fields are known."""

from pdesolve.geometry.axis import TIME, Axes, Axis
from pdesolve.geometry.box import Box, Face, Interval
from pdesolve.geometry.discretisation import Discretisation, PointCloud
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.grid import Grid, GridAxis, Placement
from pdesolve.geometry.sampling import Sampler, adaptive_points, sample, sample_boundary, sample_instant, unit_cube

__all__ = [
    "TIME", "Axes", "Axis", "Boundary", "Box", "Discretisation", "Domain", "Face", "Grid", "GridAxis", "Interval",
    "Placement", "PointCloud", "Sampler", "adaptive_points", "sample", "sample_boundary", "sample_instant", "unit_cube",
]  # fmt: skip
