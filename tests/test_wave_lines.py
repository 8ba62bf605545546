"""Waves on lines of points: quadrature, which modes two grids hold, and transforms against their sums."""

from __future__ import annotations

import math

import pytest
import torch

from pdesolve.nn.resampling import Layout, resampled
from pdesolve.nn.waves import Line, first_analysis, last_synthesis, real_modes, signed_modes

DOUBLE = torch.float64


@pytest.mark.parametrize("line", [Line(), Line("cells", 1.25), Line("nodes", 1.25)])
def test_weights_are_those_of_an_integral(line: Line) -> None:
    x, w = line.points(21), line.weights(21)
    assert float(w.sum()) == pytest.approx(1.0)
    # of trapezes and of midpoints; around a period the ends are one
    error = {"nodes": 1 / (6 * 20**2), "cells": -1 / (12 * 21**2), "periodic": 1 / (6 * 21**2) - 1 / (2 * 21)}
    assert float(w @ x**2) == pytest.approx(1 / 3 + error[line.layout])


@pytest.mark.parametrize("line", [Line(), Line("cells", 1.25), Line("nodes", 1.25)])
def test_an_analysis_is_an_integral_against_waves_of_the_period(line: Line) -> None:
    u = torch.randn(2, 11, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    found = torch.view_as_complex(first_analysis(u, line, (0, 4)))
    for k in range(4):
        wave = torch.exp(-2j * math.pi * k * line.points(11) / line.period)
        torch.testing.assert_close(found[:, k], (u * line.weights(11) * wave).sum(1))
    # of each wave and its conjugate, the mean once
    back = last_synthesis(torch.view_as_real(found), line, (0, 4), 7)
    expected = found[:, :1].real.expand(2, 7).clone()
    for k in range(1, 4):
        wave = torch.exp(2j * math.pi * k * line.points(7) / line.period)
        expected += 2 * (found[:, k, None] * wave).real
    torch.testing.assert_close(back, expected)


@pytest.mark.parametrize(
    ("given", "wanted", "modes", "signed", "real"),
    [
        (16, 16, 6, (-3, 3), 6),
        (16, 16, 7, (-3, 4), 7),  # an odd number has as many of both signs
        (8, 8, 20, (-4, 4), 5),  # the mode of two points is one
        (7, 7, 20, (-3, 4), 4),
        (8, 16, 20, (-3, 4), 4),  # and is none where the grids differ: its phase is not known
        (16, 8, 20, (-3, 4), 4),
        (7, 9, 20, (-3, 4), 4),
    ],
)
def test_modes_are_those_that_both_grids_hold(
    given: int, wanted: int, modes: int, signed: tuple[int, int], real: int
) -> None:
    assert signed_modes(Line(), given, wanted, modes) == signed
    assert real_modes(Line(), given, wanted, modes) == (0, real)
    # ends of an axis are one point of its period
    assert signed_modes(Line("nodes"), given + 1, wanted + 1, modes) == signed
    assert real_modes(Line("nodes"), given + 1, wanted + 1, modes) == (0, real)


@pytest.mark.parametrize(("given", "wanted"), [(8, 16), (8, 12), (16, 8)])
def test_a_wave_of_two_points_is_left_out_where_resolutions_differ(given: int, wanted: int) -> None:
    kinds: tuple[Layout, ...] = ("periodic",)
    i = torch.arange(given, dtype=DOUBLE)
    shortest = torch.cos(math.pi * i * min(given, wanted) / given)[None, None]
    assert float(resampled(shortest, (wanted,), kinds).abs().max()) < 1e-12
