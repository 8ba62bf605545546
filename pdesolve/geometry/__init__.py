"""Axes, domains, grids, meshes and points: where problems are posed and fields are known."""

from pdesolve.geometry.adaptive import Adaptive, Adaptivity, adaptive_points, added_points, retained_points
from pdesolve.geometry.axis import TIME, Axes, Axis
from pdesolve.geometry.ball import Ball, Disk, Sphere
from pdesolve.geometry.box import Box, Face, Interval
from pdesolve.geometry.csg import Difference, Intersection, Union
from pdesolve.geometry.curve import Arc, Chain, Segment
from pdesolve.geometry.discretisation import Discretisation, PointCloud
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.grading import corner_angles, grade
from pdesolve.geometry.grid import Grid, GridAxis, Placement
from pdesolve.geometry.location import Locator
from pdesolve.geometry.mesh import Mesh
from pdesolve.geometry.mesh_domain import MeshBoundary, MeshDomain
from pdesolve.geometry.mesh_file import read_mesh, write_mesh
from pdesolve.geometry.polygon import Polygon
from pdesolve.geometry.quadrature import Quadrature, simplex_rule
from pdesolve.geometry.refinement import refine
from pdesolve.geometry.renamed import Renamed
from pdesolve.geometry.sampling import Sampler, sample, sample_boundary, sample_instant, unit_cube
from pdesolve.geometry.star import PiercedBox, Star
from pdesolve.geometry.triangulation import smallest_angle, triangulate

__all__ = [
    "TIME", "Adaptive", "Adaptivity", "Arc", "Axes", "Axis", "Ball", "Boundary", "Box", "Chain", "Difference",
    "Discretisation", "Disk", "Domain", "Face", "Grid", "GridAxis", "Intersection", "Interval", "Locator", "Mesh",
    "MeshBoundary", "MeshDomain", "PiercedBox", "Placement", "PointCloud", "Polygon", "Quadrature", "Renamed",
    "Sampler", "Segment", "Sphere", "Star", "Union", "adaptive_points", "added_points", "corner_angles", "grade",
    "read_mesh", "refine", "retained_points", "sample", "sample_boundary", "sample_instant", "simplex_rule",
    "smallest_angle", "triangulate", "unit_cube", "write_mesh",
]  # fmt: skip
