"""Radial functions of a network drawn as ellipses over its solution and the residual, and their motion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pdesolve.errors import InputError
from pdesolve.evaluating import residual_rows
from pdesolve.geometry import Axis, PointCloud
from pdesolve.method import Solution
from pdesolve.nn import NetworkSolution, PeriodicEmbedding, RadialBasis
from pdesolve.nn.motion import recorded
from pdesolve.nn.radial import RadialUnits
from pdesolve.plotting.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

_SAMPLES = 80  # along an axis
_MOST = 400  # ellipses: more cover the picture


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Ellipses of one standard deviation along the first two axes of a problem, in its units.

    centres (function, 2), covariances (function, 2, 2), strengths (function,): the largest of 1.
    """

    axes: tuple[Axis, Axis]
    centres: np.ndarray
    covariances: np.ndarray
    strengths: np.ndarray


def ellipses(solution: NetworkSolution) -> Ellipses | None:
    """The radial functions of a network; None where it has none, or the problem a single axis.

    On a periodic axis the place of a function is the angle of its centre, its width that along the circle.
    """
    layer = next((m for m in solution.module.modules() if isinstance(m, (RadialBasis, RadialUnits))), None)
    axes = tuple(solution.problem.axes)[:2]
    inside = 2 if layer is None else layer.centres.shape[-1]
    if layer is None or len(axes) < 2 or inside < len(solution.problem.axes):
        return None
    with torch.no_grad():
        centres, covariance, strength = _content(layer)
    places = _places(solution)
    columns, slopes = [], []
    for axis, where in zip(axes, places, strict=True):
        slope = torch.zeros_like(centres)
        if len(where) == 1:
            columns.append(centres[:, where[0]])
            slope[:, where[0]] = 1.0
        else:  # cosine and sine
            c, s = centres[:, where[0]], centres[:, where[1]]
            columns.append(torch.atan2(s, c) / math.pi)
            slope[:, where[0]], slope[:, where[1]] = -s, c
            slope /= math.pi * (c**2 + s**2).clamp_min(1e-12)[:, None]
        half = axis.length / 2
        columns[-1] = (axis.lower + axis.upper) / 2 + half * columns[-1]
        slopes.append(half * slope)
    turn = torch.stack(slopes, 1)  # (function, 2, input)
    flat = turn @ covariance @ turn.mT
    found = Ellipses((axes[0], axes[1]), *(t.detach().cpu().numpy() for t in (torch.stack(columns, 1), flat, strength)))
    strongest = np.argsort(-found.strengths)[:_MOST]
    return Ellipses(found.axes, *(a[strongest] for a in (found.centres, found.covariances, found.strengths)))


def _content(layer: RadialBasis | RadialUnits) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres (function, input), covariances (function, input, input) and strengths of all groups."""
    if isinstance(layer, RadialUnits):
        return layer.centres, torch.diag_embed(layer.sizes**2), torch.ones_like(layer.sizes[:, 0])
    form = layer.form(layer.sizes, layer.turns)
    covariance = torch.diag_embed(1 / form) if layer.turns is None else torch.linalg.inv(form)
    strength = layer.weights.abs().amax(-1)
    strength = strength / strength.amax(1, keepdim=True).clamp_min(1e-300)
    return layer.centres.flatten(0, 1), covariance.flatten(0, 1), strength.flatten()


def _places(solution: NetworkSolution) -> list[list[int]]:
    """Which inputs of the radial functions the first two axes are."""
    embedding = next((m for m in solution.module.modules() if isinstance(m, PeriodicEmbedding)), None)
    if embedding is None:
        return [[0], [1]]
    plain, found = embedding.plain, []
    for i in range(2):
        if i in plain:
            found.append([plain.index(i)])
        else:
            first = len(plain) + 2 * embedding.harmonics * embedding.periodic.index(i)
            found.append([first, first + 1])
    return found


def ellipses_figure(solution: NetworkSolution) -> Figure | None:
    """The first unknown and the size of the residual over the first two axes, with ellipses; others in the middle."""
    content = ellipses(solution)
    if content is None:
        return None
    cloud = _plane(solution, content)
    panels = [next(iter(solution.on(cloud).items()))]
    if solution.smooth:
        size = torch.stack(list(residual_rows(solution, cloud).values())).square().sum(0).sqrt()
        panels.append(("log10 of the residual", size.clamp_min(1e-300).log10()))
    figure = new_figure(5.0 * len(panels), 4.0)
    for panel, (title, picture) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        first, second = content.axes
        grid = picture.detach().cpu().numpy().reshape(_SAMPLES, _SAMPLES).T
        box = (first.lower, first.upper, second.lower, second.upper)
        image = panel.imshow(grid, origin="lower", extent=box, aspect="auto")
        figure.colorbar(image, ax=panel)
        draw(panel, content)
        panel.set(xlabel=first.name, ylabel=second.name, title=title, xlim=box[:2], ylim=box[2:])
    return figure


def draw(panel: Panel, content: Ellipses) -> None:
    """One outline for each function, the fainter the less it weighs."""
    from matplotlib.patches import Ellipse

    for centre, covariance, strength in zip(content.centres, content.covariances, content.strengths, strict=True):
        squares, directions = np.linalg.eigh(covariance)
        angle = math.degrees(math.atan2(directions[1, 1], directions[0, 1]))
        small, large = 2 * np.sqrt(np.maximum(squares, 0.0))
        shade = 0.15 + 0.85 * float(strength) ** 0.5
        place = (float(centre[0]), float(centre[1]))
        panel.add_patch(Ellipse(place, large, small, angle=angle, fill=False, color="white", alpha=shade, lw=0.8))


def motion(frames: Sequence[Ellipses], labels: Sequence[str], *, rate: int = 8) -> FuncAnimation:
    """Ellipses of one network at successive moments of its training, as an animation."""
    from pdesolve.plotting.canvas import Movie

    figure = new_figure(5.0, 4.0)
    panel = figure.subplots()
    panel.set_facecolor("0.2")
    first, second = frames[0].axes

    def show(i: int) -> tuple[()]:
        for patch in list(panel.patches):
            patch.remove()
        draw(panel, frames[i])
        panel.set(xlabel=first.name, ylabel=second.name, title=labels[i])
        return ()

    panel.set(xlim=(first.lower, first.upper), ylim=(second.lower, second.upper))
    return Movie(figure, show, frames=len(frames), interval=1000 / rate)


def recorded_motion(solution: Solution, folder: Path) -> FuncAnimation:
    """The radial functions of a stored solution at each move of the points of its run.

    Raises:
        InputError: none were recorded.
    """
    frames, labels = [], []
    layer = None
    if isinstance(solution, NetworkSolution):
        layer = next((m for m in solution.module.modules() if isinstance(m, RadialBasis)), None)
        for step in () if layer is None else recorded(folder, layer):
            content = ellipses(solution)
            if content is not None:
                frames.append(content)
                labels.append(f"step {step}")
    if not frames:
        raise InputError(
            f"{folder} has no motion of Gaussians: runs of pig over two axes and more record it where Gaussians are "
            "trained and points move; leave out --animate for a picture"
        )
    return motion(frames, labels)


def _plane(solution: NetworkSolution, content: Ellipses) -> PointCloud:
    """Points over the first two axes; further ones are at their middle."""
    axes = solution.problem.axes
    lines = [
        axis.lower + axis.length * (torch.arange(_SAMPLES, dtype=torch.float64) + 0.5) / _SAMPLES
        for axis in content.axes
    ]
    plane = torch.cartesian_prod(*lines)
    rest = [torch.full((len(plane), 1), (a.lower + a.upper) / 2, dtype=torch.float64) for a in tuple(axes)[2:]]
    return PointCloud(axes, torch.cat([plane, *rest], 1))
