"""Every equation has a known solution that leaves no residual: a formula here, or the exact solution of a problem."""

from __future__ import annotations

import importlib
import math
import pkgutil

import pytest
import torch

import pdesolve.physics.equations
import pdesolve.physics.problems
from pdesolve.equation import Evolution, flatten
from pdesolve.fields import Constant, Coordinates, Quantity, Vector, cos, d, exp, sech, sin, sqrt, tanh
from pdesolve.geometry import Axis, Box, Interval, sample


def transport(p, x):
    s = x["x"] - p["speed"] * x["t"]
    return sin(2 * s) + cos(s) ** 2


def shock(p, x):
    """A travelling shock of height 2 a and speed c."""
    a, c = 0.8, 0.3
    return c - a * tanh(a * (x["x"] - c * x["t"]) / (2 * p["viscosity"]))


def wall(p, x):
    """The standing wall between two phases."""
    return tanh(x["x"] * (p["reaction"] / (2 * p["diffusivity"])) ** 0.5)


def soliton(p, x):
    a, b, c = p["advection"], p["dispersion"], 0.6
    s = 0.5 * (c / b) ** 0.5 * (x["x"] - c * x["t"])
    return 3 * c / a * (1 - tanh(s) ** 2)


def front(p, x):
    """The front of tanh and tanh^3 (Y. Kuramoto, T. Tsuzuki 1976), scaled to any coefficients."""
    a, b, c = p["advection"], p["antidiffusion"], p["hyperdiffusion"]
    k, speed = 0.5 * math.sqrt(11 / 19), 0.25
    s = tanh(k * ((b / c) ** 0.5 * x["x"] - speed * b**2 / c * x["t"]))
    return b**1.5 / c**0.5 / a * (speed + 15 / 19 * math.sqrt(11 / 19) * (11 * s**3 - 9 * s))


def invasion(p, x):
    """The front that runs at 5/sqrt(6) (M. J. Ablowitz, A. Zeppetella 1979)."""
    d_, r = p["diffusivity"], p["growth"]
    return (1 + exp((r / d_ / 6) ** 0.5 * (x["x"] - 5 * (r * d_ / 6) ** 0.5 * x["t"]))) ** -2


def used_up(p, x):
    """b = 2 a, and a the rational solution of a_t = D a_xx - 4 k a^3."""
    d_, s = p["diffusivity"], x["x"] + 3.0
    a = (d_ / (2 * p["reaction"])) ** 0.5 * (2 * s + 1.0) / (s**2 + s + 6 * d_ * x["t"] + 0.7)
    return {"a": a, "b": 2 * a}


def pulse(p, x):
    """v = sin(x - c t), and what u and the threshold must then be."""
    s, c = x["x"] - 0.4 * x["t"], 0.4
    a, b = 1 + p["inhibitor_diffusivity"] / p["recovery"], -c / p["recovery"]
    u = a * sin(s) + b * cos(s)
    change = -c * (a * cos(s) - b * sin(s)) + p["activator_diffusivity"] * u
    return {"u": u, "v": sin(s)}, {"threshold": u - u**3 - sin(s) - change / p["excitation"]}


def fed(p, x):
    """Waves of both species, and the rates of feeding and of dying that they need."""
    s, c = x["x"] - 0.4 * x["t"], 0.4
    u, v = 0.5 + 0.2 * sin(s), 0.6 + 0.3 * cos(s)
    used = p["reaction"] * u * v**2
    feed = (-c * 0.2 * cos(s) + p["substrate_diffusivity"] * 0.2 * sin(s) + used) / (1 - u)
    loss = (-p["catalyst_diffusivity"] * 0.3 * cos(s) + used - c * 0.3 * sin(s)) / v
    return {"u": u, "v": v}, {"feed": feed, "kill": loss - feed}


def potential_flow(p, x):
    """v = -2 nu grad log w with w = 3 + exp(-2 nu t) cos x cos y, a solution of the heat equation."""
    nu = p["viscosity"]
    e = exp(-2 * nu * x["t"])
    w = 3 + e * cos(x["x"]) * cos(x["y"])
    v = {"x": 2 * nu * e * sin(x["x"]) * cos(x["y"]) / w, "y": 2 * nu * e * cos(x["x"]) * sin(x["y"]) / w}
    return {"velocity": Vector(v)}


def diagonal_shock(p, x):
    a, c = 0.8, 0.3
    return c - a * tanh(a * (x["x"] + x["y"] - 2 * c * x["t"]) / (2 * p["diffusivity"]))


def layer(p, x):
    """The standing wall between two phases, and the equation's own width."""
    return tanh(x["x"] / (2 * p["wall"]) ** 0.5)


def barenblatt(p, x):
    """Inside its edge, in two dimensions."""
    t = x["t"] + 1.0
    return t**-0.5 * (2.0 - (x["x"] ** 2 + x["y"] ** 2) / (8 * p["diffusivity"] * t**0.5))


def advancing(p, x):
    """A front that runs at 0.8, behind it the root of the distance."""
    m, v = float(p["degree"].values), 0.8
    return (m * v / p["diffusivity"] * (v * x["t"] - x["x"] + 3.0)) ** (1 / m)


def molten(p, x):
    """A wave of heat above the value of the front."""
    return 2.0 + exp(-p["diffusivity"] * x["t"]) * sin(x["x"])


def envelope(p, x):
    c, g, k = p["dispersion"], p["focusing"], 1.2
    size = (2 * c / g) ** 0.5 * k * sech(k * x["x"])
    phase = (c * k**2 - p["potential"]) * x["t"]
    return {"h": Vector({"real": size * cos(phase), "imag": size * sin(phase)})}


def seepage(p, x):
    """A pressure in a medium that varies, and the source it needs."""
    a, u = 2 + sin(x["x"]) * cos(x["y"]), cos(x["x"]) * x["y"]
    slopes = -cos(x["x"]) * cos(x["y"]) * sin(x["x"]) * x["y"] - sin(x["x"]) * sin(x["y"]) * cos(x["x"])
    return {"u": u}, {"permeability": a, "source": a * u - slopes}


def cubic(p, x):
    u = sin(x["x"]) * cos(2 * x["y"])
    return {"u": u}, {"source": 5 * u + p["cubic"] * u**3}


def circles(p, x):
    """A profile that turns as a rigid body."""
    a, b = -1.3 * x["y"], 1.3 * x["x"]
    turn = 1.3 * x["t"]
    s = x["x"] * cos(turn) + x["y"] * sin(turn)
    return {"u": sin(2 * s) + x["x"] ** 2 + x["y"] ** 2}, {"velocity_x": a, "velocity_y": b}


def pressed(p, x):
    """A wave of volume of any height along (0.6, 0.8): F is symmetric, so that nothing turns."""
    speed = math.sqrt(2.0 * (1.3 + 0.7))
    wave = 0.3 * sin(2.0 * (0.6 * x["x"] + 0.8 * x["y"] - speed * x["t"]))
    return {"displacement": Vector({"x": 0.6 * wave, "y": 0.8 * wave})}


def strained(p, x):
    """lap u = -2 u, grad div u = -3/2 w."""
    w = {"x": sin(x["x"]) * cos(x["y"]), "y": cos(x["x"]) * sin(x["y"])}
    u = {"x": w["x"], "y": 0.5 * w["y"]}
    both = p["first_lame"] + p["shear_modulus"]
    force = {f"force_{n}": 2 * p["shear_modulus"] * u[n] + 1.5 * both * w[n] for n in w}
    return {"displacement": Vector(u)}, force


def soaked(p, x):
    """A wave that rises, and the diffusivity it needs: D = R(u) u_t / u_xx."""
    e = exp(0.3 * x["t"] + 0.5 * x["x"])
    n = float(p["freundlich_exponent"].values)
    stuck = (1 - p["porosity"]) / p["porosity"] * p["grain_density"] * p["freundlich_coefficient"]
    return {"u": 1 + e}, {"diffusivity": 1.2 * (1 + stuck * n * (1 + e + 1e-6) ** (n - 1))}


def eddy(x):
    """r^2 and the velocity of a body that turns at the rate 1.3 and drifts along."""
    a, b = x["x"] - 0.4 * x["t"], x["y"] + 0.2 * x["t"]
    return a**2 + b**2, {"x": 0.4 - 1.3 * b, "y": -0.2 + 1.3 * a}


def pool(p, x):
    """Water that turns in a bowl, and the bowl: the surface slopes with the centrifugal force."""
    r2, v = eddy(x)
    h = 1.5 + 0.1 * r2 + 0.0 * x["y"]
    bowl = 0.5 * 1.3**2 * r2 / p["gravity"] - h
    return {"depth": h, "momentum": Vector({n: h * v[n] for n in v})}, {"bed": bowl}


def stirred(p, x):
    """Gas that turns, denser outside, held together by the pressure: dp/dr = 1.3^2 rho r."""
    r2, v = eddy(x)
    rho = 1.1 + 0.3 * r2 + 0.0 * x["y"]
    pressure = 2.0 + 1.3**2 * (0.55 * r2 + 0.075 * r2**2)
    energy = pressure / (p["heat_capacity_ratio"] - 1) + 0.5 * rho * (v["x"] ** 2 + v["y"] ** 2)
    return {"density": rho, "momentum": Vector({n: rho * v[n] for n in v}), "energy": energy}


def carried(p, x):
    """A wave of density alone, carried along."""
    rho = 2 + sin(2 * (x["x"] - 0.7 * x["t"]))
    return {"density": rho, "momentum": 0.7 * rho, "energy": 1.3 / (p["heat_capacity_ratio"] - 1) + 0.5 * 0.49 * rho}


def dome(p, x):
    """Part of a sphere of radius 3, which the pressure 2 s / 3 blows up."""
    return {"u": sqrt(9.0 - x["x"] ** 2 - x["y"] ** 2)}, {"pressure": p["tension"] * (2.0 / 3.0)}


def hardening(p, x):
    """A wave, and the load it needs for p = 3."""
    c, e, s = cos(x["x"]), p["regularisation"], p["slope"]
    root = (e**2 + (c / s) ** 2) ** 0.5
    return {"u": sin(x["x"])}, {"source": sin(x["x"]) * (root + (c / s) ** 2 / root)}


def cellular(p, x):
    """Vortices of Taylor and Green, which friction slows down as a force does, and a pressure of its own."""
    u, v = sin(x["x"]) * cos(x["y"]), -cos(x["x"]) * sin(x["y"])
    forces = {"force_x": 2 * p["viscosity"] * u + cos(x["x"]), "force_y": 2 * p["viscosity"] * v + x["y"]}
    return {"velocity": Vector({"x": u, "y": v}), "pressure": sin(x["x"]) + 0.5 * x["y"] ** 2}, forces


def vortices(p, x):
    """Taylor-Green vortices carried along by a wind, at a Galilean distance from those that stand."""
    nu, k = p["viscosity"], 2.0
    e = exp(-2 * k**2 * nu * x["t"])
    a, b = k * (x["x"] - 0.4 * x["t"]), k * (x["y"] + 0.3 * x["t"])
    v = {"x": 0.4 + cos(a) * sin(b) * e, "y": -0.3 - sin(a) * cos(b) * e}
    return {"velocity": Vector(v), "pressure": -0.25 * (cos(2 * a) + cos(2 * b)) * e**2}


def behind_a_grid(p, x):
    """L. I. G. Kovasznay 1948."""
    nu, k = p["viscosity"], 2 * math.pi
    a = 0.5 / nu - (0.25 / nu**2 + k**2) ** 0.5
    e = exp(a * x["x"])
    v = {"x": 1 - e * cos(k * x["y"]), "y": a / k * e * sin(k * x["y"])}
    return {"velocity": Vector(v), "pressure": -0.5 * e**2}


# by module: the formula and the values of the parameters. A formula gives the state, of one unknown its field alone; or
# the state and the parameters that follow from it.
SOLUTIONS = {
    "advection": (transport, {"speed": 1.7}),
    "burgers": (shock, {"viscosity": 0.3}),
    "allen_cahn": (wall, {"diffusivity": 0.4, "reaction": 1.3}),
    "korteweg_de_vries": (soliton, {"advection": 1.4, "dispersion": 0.2}),
    "kuramoto_sivashinsky": (front, {"advection": 1.5, "antidiffusion": 0.8, "hyperdiffusion": 0.6}),
    "reaction_diffusion": (invasion, {"diffusivity": 0.3, "growth": 1.7}),
    "two_species_reaction": (used_up, {"diffusivity": 0.3, "reaction": 0.4}),
    "fitzhugh_nagumo": (
        pulse,
        {"activator_diffusivity": 0.3, "inhibitor_diffusivity": 0.8, "excitation": 1.4, "recovery": 0.7},
    ),
    "gray_scott": (fed, {"substrate_diffusivity": 0.3, "catalyst_diffusivity": 0.8, "reaction": 1.4}),
    "burgers_2d": (potential_flow, {"viscosity": 0.3}),
    "burgers_scalar": (diagonal_shock, {"diffusivity": 0.6}),
    "cahn_hilliard": (layer, {"mobility": 0.7, "wall": 0.4}),
    "nonlinear_diffusion": (barenblatt, {"diffusivity": 0.7}),
    "porous_medium": (advancing, {"diffusivity": 0.7, "degree": 2.5}),
    "stefan": (molten, {"diffusivity": 0.7, "front_value": 0.6}),
    "schroedinger": (envelope, {"dispersion": 0.7, "focusing": 1.3, "potential": 0.4}),
    "darcy": (seepage, {}),
    "nonlinear_poisson": (cubic, {"cubic": 1.3}),
    "transport": (circles, {}),
    "diffusion_sorption": (
        soaked,
        {"porosity": 0.4, "grain_density": 1.7, "freundlich_coefficient": 0.6, "freundlich_exponent": 0.8},
    ),
    "shallow_water_2d": (pool, {"gravity": 1.4}),
    "euler": (carried, {"heat_capacity_ratio": 1.6}),
    "euler_2d": (stirred, {"heat_capacity_ratio": 1.6}),
    "minimal_surface": (dome, {"tension": 1.3}),
    "p_laplacian": (hardening, {"exponent": 3.0, "slope": 0.7, "regularisation": 0.3}),
    "stokes": (cellular, {"viscosity": 0.7}),
    "hyperelasticity": (pressed, {"shape_stiffness": 1.3, "volume_stiffness": 0.7}),
    "linear_elasticity": (strained, {"first_lame": 1.3, "shear_modulus": 0.7}),
    "navier_stokes": (vortices, {"viscosity": 0.3, "force_x": 0.0, "force_y": 0.0}),
    "steady_navier_stokes": (behind_a_grid, {"viscosity": 0.3, "force_x": 0.0, "force_y": 0.0}),
}
# on grids alone, in a test of their own
ELSEWHERE = {"navier_stokes_vorticity": "test_flow"}


def modules(package):
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_known_solutions_leave_no_residual(name):
    formula, numbers = SOLUTIONS[name]
    module = modules(pdesolve.physics.equations)[name]
    (kind,) = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    equation = kind()
    plane = "y" in formula.__code__.co_consts
    domain = Box(Axis("x", -1.0, 1.5), Axis("y", -0.5, 1.0)) if plane else Interval("x", -1.0, 1.5)
    time = Axis("t", 0.0, 1.0) if isinstance(equation, Evolution) else None
    x = Coordinates(sample(domain, 200, generator=torch.Generator().manual_seed(0), time=time))
    p = {n: Constant(torch.tensor(v, dtype=torch.float64), Quantity(n)) for n, v in numbers.items()}
    state, given = found if isinstance(found := formula(p, x), tuple) else (found, {})
    p |= given
    assert p.keys() == {parameter.name for parameter in equation.parameters}
    if not isinstance(state, dict):
        state = {equation.unknowns[0].name: state}
    rows = flatten(equation.residual(state, p, x))
    assert rows.keys() == set(equation.scalars)
    for scalar, row in rows.items():
        size = float(d(flatten(state)[scalar], "x").values.detach().abs().max())
        assert size > 0.1
        assert float(row.values.detach().abs().max()) < 1e-11 * max(1.0, size), scalar


def test_every_equation_has_a_known_solution():
    proven = set(SOLUTIONS)
    for module in modules(pdesolve.physics.problems).values():
        problem = module.problem()
        if problem.exact is not None:
            proven.add(type(problem.equation).__module__.rsplit(".", 1)[1])
    missing = set(modules(pdesolve.physics.equations)) - proven - set(ELSEWHERE)
    assert not missing, f"give {missing} a known solution in this file, or a problem with an exact one"
