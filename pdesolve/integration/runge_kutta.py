"""Steps of explicit embedded Runge-Kutta pairs, with their error and stiffness estimates and what lies in between.

k_i = f(t + c_i h, g_i),  g_i = y + h sum_j a_ij k_j,  y+ = y + h sum_i b_i k_i,  e = h sum_i (b_i - b*_i) k_i.

All pairs here evaluate f at y+ last, which is the first evaluation of the next step. E. Hairer, S. P. Norsett, G.
Wanner, Solving Ordinary Differential Equations I (1993), sections II.4 to II.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Rate = Callable[[Tensor, Tensor], Tensor]
"""y_t = f(t, y): t a scalar, y and f (*sample, *place) of one shape, dtype and device."""


@dataclass(frozen=True)
class RungeKutta:
    """An explicit pair whose last stage is the end of the step.

    Attributes:
        order: of the solution; that of the embedded one is smaller by one.
        nodes: c_i of the stages after the first.
        stages: a_ij of these stages; the last row is the weights b.
        error: b_i - b*_i, one more for the slope at the end.
        middle: weights of y(t + h/2), from which the interpolant of degree four follows.
        pair: whether the last two stages both lie at the end of the step, which is what the stiffness estimate needs.
        radius: the interval of stability on the negative real axis, |h lambda| <= radius.
    """

    name: str
    order: int
    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    error: tuple[float, ...]
    middle: tuple[float, ...]
    pair: bool
    radius: float

    @property
    def evaluations(self) -> int:
        """Evaluations of f in a step, whose first slope is known."""
        return len(self.nodes)

    def weights(self, fraction: float) -> list[float]:
        """b_i of y(t + fraction h): the polynomial of degree four with the ends, their slopes and the middle."""
        x = fraction
        ends = x**2 * (-5 + 14 * x - 8 * x**2)
        middle = 16 * x**2 * (1 - x) ** 2
        found = [ends * b + middle * m for b, m in zip((*self.stages[-1], 0.0), self.middle, strict=True)]
        found[0] += x * (1 - x) ** 2 * (1 - 2 * x)
        found[-1] += x**2 * (1 - x) * (1 - 2 * x)
        return found


DORMAND_PRINCE = RungeKutta(
    "Dormand-Prince 5(4)",
    order=5,
    nodes=(1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    stages=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    # two thirds of the difference in the paper of 1980, as L. F. Shampine, Math. Comput. 46 (1986) 135 and torchdiffeq
    error=(
        35 / 384 - 1951 / 21600,
        0.0,
        500 / 1113 - 22642 / 50085,
        125 / 192 - 451 / 720,
        12231 / 42400 - 2187 / 6784,
        11 / 84 - 649 / 6300,
        -1 / 60,
    ),
    middle=(
        6025192743 / 60171106304,
        0.0,
        51252292925 / 130801643196,
        -2691868925 / 90256659456,
        187940372067 / 3189068634112,
        -1776094331 / 39487288512,
        11237099 / 470086768,
    ),
    pair=True,
    radius=3.3066,
)
"""J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19."""

TSITOURAS = RungeKutta(
    "Tsitouras 5(4)",
    order=5,
    nodes=(0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    stages=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    error=(
        -0.001780011052225777, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629, 0.5823571654525552,
        -0.45808210592918697, 1 / 66,
    ),
    middle=(
        -1.0530884977290216 / 2 * (0.5 - 1.3299890189751412) * (0.25 - 1.4364028541716351 / 2 + 0.7139816917074209),
        0.1017 / 4 * (0.25 - 2.1966568338249754 / 2 + 1.2949852507374631),
        2.490627285651253 / 4 * (0.25 - 2.3853564547206166 / 2 + 1.578034682080925),
        -16.548102889244902 / 4 * (0.5 - 1.2171292729553325) * (0.5 - 0.6162040603780009),
        47.37952196281928 / 4 * (0.5 - 1.2030712083723627) * (0.5 - 0.6580472926535474),
        -34.87065786149661 / 4 * (0.5 - 1.2) * (0.5 - 2 / 3),
        2.5 / 4 * (0.5 - 1.0) * (0.5 - 0.6),
    ),
    pair=True,
    radius=3.5068,
)  # fmt: skip
"""Ch. Tsitouras, Comput. Math. Appl. 62 (2011) 770: errors some times below those of Dormand and Prince's pair."""

BOGACKI_SHAMPINE = RungeKutta(
    "Bogacki-Shampine 3(2)",
    order=3,
    nodes=(1 / 2, 3 / 4, 1.0),
    stages=((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    # of the cubic with the ends and their slopes
    middle=(1 / 9 + 1 / 8, 1 / 6, 2 / 9, -1 / 8),
    pair=False,
    radius=2.5127,
)
"""P. Bogacki, L. F. Shampine, Appl. Math. Lett. 2 (1989) 321: for tolerances above 1e-3. No stiffness estimate."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step from y to `end`, `length` being negative backward in time: slopes k_i, and g of the last stage but one.

    All of it is differentiable in y and in the parameters of f; the length is a number.
    """

    method: RungeKutta
    length: float
    start: Tensor
    end: Tensor
    slopes: tuple[Tensor, ...]
    before: Tensor

    def at(self, fraction: float) -> Tensor:
        """y(t + fraction h), of order four (three for a pair of order three)."""
        if fraction == 1.0:
            return self.end
        return self.start + combined(self.slopes, self.method.weights(fraction), self.length)

    def scaled_error(self, *, relative: float, absolute: float) -> Tensor:
        """q = rms( e / (absolute + relative max(|y|, |y+|)) ), the mean over all places of all samples.

        A step is good where q <= 1.
        """
        error = combined(self.slopes, self.method.error, self.length)
        scale = absolute + relative * torch.maximum(self.start.abs(), self.end.abs())
        return _root((error / scale).abs().square().mean())

    def stiffness(self) -> Tensor | None:
        """s = |k_7 - k_6| / |g_7 - g_6|, about the largest |eigenvalue| of df/dy along the solution, in 1/time.

        Zero where nothing moves, None for a pair without two stages at the end of the step. Steps are held back by
        stability rather than accuracy where |h| s comes near the method's radius.
        """
        if not self.method.pair:
            return None
        slopes = (self.slopes[-1] - self.slopes[-2]).abs().square().sum()
        places = (self.end - self.before).abs().square().sum()
        moves = places > 0
        return _root(torch.where(moves, slopes, 0.0) / torch.where(moves, places, 1.0))


def runge_kutta_step(f: Rate, method: RungeKutta, *, t: float, y: Tensor, slope: Tensor, length: float) -> Step:
    """One step of y_t = f(t, y), whose slope f(t, y) is known; the last of its slopes is f at the end."""
    slopes, place, before = [slope], y, y
    for node, row in zip(method.nodes, method.stages, strict=True):
        before, place = place, y + combined(slopes, row, length)
        slopes.append(f(instant(t + node * length, y), place))
    return Step(method, length, y, place, tuple(slopes), before)


def combined(slopes: Sequence[Tensor], weights: Sequence[float], length: float) -> Tensor:
    """h sum_i w_i k_i, by additions alone: a product of matrices would be rounded further under autocast."""
    terms = [(k, length * w) for k, w in zip(slopes, weights, strict=True) if w != 0.0]
    total = terms[0][0] * terms[0][1] if terms else torch.zeros_like(slopes[0])
    for k, factor in terms[1:]:
        total = torch.add(total, k, alpha=factor)
    return total


def instant(t: float, y: Tensor) -> Tensor:
    """t as a scalar beside y; filled on the device, which waits for nothing."""
    return torch.full((), t, dtype=y.dtype.to_real(), device=y.device)


def _root(x: Tensor) -> Tensor:
    """sqrt(x) whose derivative is zero at zero: a step without any error would have gradients 0 times infinity."""
    positive = x != 0  # not a number is kept as it is
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)
