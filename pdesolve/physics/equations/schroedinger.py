"""The nonlinear Schroedinger equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, dot, grad, laplacian


@dataclass(frozen=True)
class Schroedinger(Conserving):
    """A wave packet that focuses itself, in any number of dimensions,

        i h_t = -c lap h - g |h|^2 h + V h,

    for the real and the imaginary part of h: as components, h = h_real + i h_imag. In one dimension g > 0 gives
    solitons A sech(A sqrt(g / 2c) x), which pass through each other; in two or more, enough of it collapses in finite
    time. g < 0 defocuses. Mass, the integral of |h|^2, and energy, that of c |grad h|^2 - g |h|^4 / 2 + V |h|^2, are
    kept.
    `dispersion` c and `focusing` g: numbers for all space; `potential` V: a number or a field. c = 1/2, g = 1 is
    the form of the PINN paper and of optics, V = 0 and g = 0 a free particle.
    Source: E. Schroedinger, Ann. Phys. 79 (1926) 361; V. E. Zakharov, A. B. Shabat, Sov. Phys. JETP 34 (1972) 62.
    """

    unknowns = (Unknown("h", unit="1", long_name="envelope of the wave", components=("real", "imag")),)
    parameters = (
        Parameter("dispersion", unit="m2 s-1", default=0.5),
        Parameter("focusing", unit="s-1", default=1.0),
        Parameter("potential", unit="s-1", default=0.0),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        h: Vector = u["h"]
        force = p["focusing"] * dot(h, h) - p["potential"]
        # h_t = i (c lap h + (g |h|^2 - V) h), and i turns (real, imag) to (-imag, real)
        turned = h.map(lambda part: p["dispersion"] * laplacian(part) + force * part)
        return {"h": Vector({"real": -turned["imag"], "imag": turned["real"]})}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        h: Vector = u["h"]
        density = dot(h, h)
        slopes = [grad(part) for part in h]
        bend = dot(slopes[0], slopes[0]) + dot(slopes[1], slopes[1])
        energy = p["dispersion"] * bend - 0.5 * p["focusing"] * density**2 + p["potential"] * density
        return {"mass": density, "energy": energy}
