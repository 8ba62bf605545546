"""Exact solutions of Riemann problems: two uniform states that meet at x = 0, t = 0, as functions of s = x / t.

All arguments are tensors that broadcast against s. Gradients flow into all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pdesolve.errors import InputError

_ITERATIONS = 60  # of Newton's method: near vacuum the first ones are small; each costs a microsecond
_ROUNDING = 4e-16


def shallow_water_star(
    left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor], gravity: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth and velocity between the two waves, for states (depth >= 0, velocity).

    Depths and velocities of a wave of the left satisfy v = v_l - f(h), with f(h) = 2 (sqrt(g h) - sqrt(g h_l)) for a
    rarefaction, h <= h_l, and f(h) = (h - h_l) sqrt(g (h + h_l) / (2 h h_l)) for a bore. On a dry bed on one side, and
    where the states part faster than the water follows, the star is the dry front. E. F. Toro, Shock-Capturing Methods
    for Free-Surface Shallow Flows (2001), chapters 5 and 6.
    """
    (h_l, v_l), (h_r, v_r) = left, right
    h_l, v_l, h_r, v_r, g = torch.broadcast_tensors(h_l, v_l, h_r, v_r, gravity)
    c_l, c_r = _celerity(h_l, g), _celerity(h_r, g)
    dry = (torch.minimum(h_l, h_r) <= 0) | (2 * (c_l + c_r) <= v_r - v_l)
    # stand-ins where the answer is known, so that no gradient meets a NaN
    wet_l, wet_r, still = (torch.where(dry, 1.0, h) for h in (h_l, h_r, h_l))
    jump = torch.where(dry, 0.0, v_r - v_l)

    def wave(h: Tensor, h_k: Tensor) -> Tensor:
        rarefaction = 2 * ((g * h).sqrt() - (g * h_k).sqrt())
        return torch.where(h <= h_k, rarefaction, (h - h_k) * (0.5 * g * (h + h_k) / (h * h_k)).sqrt())

    # both waves as rarefactions
    guess = (0.5 * ((g * wet_l).sqrt() + (g * wet_r).sqrt()) - 0.25 * jump).square() / g
    h = _root(lambda h: wave(h, wet_l) + wave(h, wet_r) + jump, torch.where(dry, still, guess))
    v = 0.5 * (v_l + v_r) + 0.5 * (wave(h, wet_r) - wave(h, wet_l))
    front = torch.where(h_l > 0, v_l + 2 * c_l, v_r - 2 * c_r)
    return torch.where(dry, 0.0, h), torch.where(dry, front, v)


def shallow_water(
    s: Tensor, left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor], gravity: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth and velocity of a Riemann problem of the shallow water equations at s = x / t."""
    h, v = shallow_water_star(left, right, gravity)
    (h_l, v_l), (h_r, v_r) = left, right
    # the dry front of the right wave is another one where water parts in the middle
    v_mirrored = torch.where((h <= 0) & (h_r > 0), v_r - 2 * _celerity(h_r, gravity), v)
    lower = _shallow_wave(s, (h_l, v_l), (h, v), gravity)
    upper = _shallow_wave(-s, (h_r, -v_r), (h, -v_mirrored), gravity)
    below = s <= torch.where(h <= 0, 0.5 * (v + v_mirrored), v)
    return torch.where(below, lower[0], upper[0]), torch.where(below, lower[1], -upper[1])


def _celerity(h: Tensor, g: Tensor) -> Tensor:
    """sqrt(g h), with gradients that are zero instead of NaN on a dry bed."""
    return (g * h).clamp_min(1e-300).sqrt()


def _shallow_wave(
    s: Tensor, outer: tuple[Tensor, Tensor], star: tuple[Tensor, Tensor], g: Tensor
) -> tuple[Tensor, Tensor]:
    """The wave that runs to the left into the outer state."""
    (h_k, v_k), (h, v) = outer, star
    shock = h > h_k
    ratio = h / torch.where(shock, h_k, 1.0)
    c_k, c = _celerity(h_k, g), _celerity(h, g)
    head = torch.where(shock, v_k - (0.5 * g * h * (ratio + 1)).clamp_min(0.0).sqrt(), v_k - c_k)
    tail = torch.where(shock, head, v - c)
    inside = torch.minimum(torch.maximum(s, head), tail)
    fan_h = ((v_k + 2 * c_k - inside) / 3).square() / g
    fan_v = (v_k + 2 * c_k + 2 * inside) / 3
    return _pick(s, head, tail, (h_k, fan_h, h)), _pick(s, head, tail, (v_k, fan_v, v))


def euler_star(
    left: tuple[Tensor, Tensor, Tensor], right: tuple[Tensor, Tensor, Tensor], ratio: Tensor
) -> tuple[Tensor, Tensor]:
    """Pressure and velocity between the two outer waves, for states (density, velocity, pressure).

    v = v_l - f(p) across a wave of the left, with f(p) = (p - p_l) sqrt(A / (p + B)), A = 2 / ((gamma + 1) rho_l),
    B = (gamma - 1) / (gamma + 1) p_l for a shock, p > p_l, and f(p) = 2 c_l / (gamma - 1) ((p / p_l)^z - 1) with
    z = (gamma - 1) / (2 gamma) for a rarefaction. E. F. Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics
    (2009), chapter 4.

    Raises:
        InputError: states that part so fast that a vacuum opens between them.
    """
    (_, v_l, p_l), (_, v_r, p_r) = left, right
    sound = [(ratio * p / rho).sqrt() for rho, _, p in (left, right)]
    if bool((2 * (sound[0] + sound[1]) / (ratio - 1) <= v_r - v_l).any()):
        raise InputError("the two gases part faster than they can expand, and a vacuum opens: bring velocities closer")
    z = (ratio - 1) / (2 * ratio)

    def wave(p: Tensor, side: tuple[Tensor, Tensor, Tensor], c: Tensor) -> Tensor:
        rho, _, p_k = side
        a, b = 2 / ((ratio + 1) * rho), (ratio - 1) / (ratio + 1) * p_k
        return torch.where(p > p_k, (p - p_k) * (a / (p + b)).sqrt(), 2 * c / (ratio - 1) * ((p / p_k) ** z - 1))

    # both waves as rarefactions
    numerator = sound[0] + sound[1] - 0.5 * (ratio - 1) * (v_r - v_l)
    guess = (numerator / (sound[0] / p_l**z + sound[1] / p_r**z)) ** (1 / z)
    p = _root(lambda p: wave(p, left, sound[0]) + wave(p, right, sound[1]) + v_r - v_l, guess)
    return p, 0.5 * (v_l + v_r) + 0.5 * (wave(p, right, sound[1]) - wave(p, left, sound[0]))


def euler(
    s: Tensor, left: tuple[Tensor, Tensor, Tensor], right: tuple[Tensor, Tensor, Tensor], ratio: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Density, velocity and pressure of a Riemann problem of the Euler equations at s = x / t."""
    p, v = euler_star(left, right, ratio)
    lower = _euler_wave(s, left, (p, v), ratio)
    density, velocity, pressure = _euler_wave(-s, (right[0], -right[1], right[2]), (p, -v), ratio)
    below = s <= v
    return (
        torch.where(below, lower[0], density),
        torch.where(below, lower[1], -velocity),
        torch.where(below, lower[2], pressure),
    )


def _euler_wave(
    s: Tensor, outer: tuple[Tensor, Tensor, Tensor], star: tuple[Tensor, Tensor], ratio: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The wave that runs to the left into the outer state."""
    (rho_k, v_k, p_k), (p, v) = outer, star
    shock, quotient = p > p_k, p / p_k
    g = (ratio - 1) / (ratio + 1)
    c_k = (ratio * p_k / rho_k).sqrt()
    rho = rho_k * torch.where(shock, (quotient + g) / (g * quotient + 1), quotient ** (1 / ratio))
    c = (ratio * p / rho).sqrt()
    strength = ((ratio + 1) / (2 * ratio) * quotient + (ratio - 1) / (2 * ratio)).sqrt()
    head = torch.where(shock, v_k - c_k * strength, v_k - c_k)
    tail = torch.where(shock, head, v - c)
    inside = torch.minimum(torch.maximum(s, head), tail)
    c_fan = 2 / (ratio + 1) * (c_k + 0.5 * (ratio - 1) * (v_k - inside))
    # at a shock no fan is seen, and its power must not be infinite
    relative = torch.where(shock, 1.0, c_fan / c_k)
    rho_fan, p_fan = rho_k * relative ** (2 / (ratio - 1)), p_k * relative ** (2 * ratio / (ratio - 1))
    return (
        _pick(s, head, tail, (rho_k, rho_fan, rho)),
        _pick(s, head, tail, (v_k, inside + c_fan, v)),
        _pick(s, head, tail, (p_k, p_fan, p)),
    )


def _pick(s: Tensor, head: Tensor, tail: Tensor, parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Outer state, fan or star, by where s is."""
    outer, fan, star = parts
    return torch.where(s <= head, outer, torch.where(s < tail, fan, star))


def _root(f: Callable[[Tensor], Tensor], guess: Tensor) -> Tensor:
    """The positive root of an increasing concave function by Newton's method, one for each entry.

    The last step is taken with gradients: it gives those of the root.
    """
    root = guess.detach()
    for _ in range(_ITERATIONS):
        value, slope = _with_slope(f, root)
        step = value.detach() / slope
        root = torch.maximum(root - step, 0.01 * root)  # a step too long must not leave the positive numbers
        if bool((step.abs() <= _ROUNDING * root).all()):
            break
    value, slope = _with_slope(f, root)
    return root - value / slope


def _with_slope(f: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """f, with gradients in what it closes over, and f' without."""
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        value = f(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf, retain_graph=True)
    return f(at) if torch.is_grad_enabled() else value.detach(), slope
