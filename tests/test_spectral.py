"""Spectral convolutions and resampling: against the package's layer, against sums, and over resolutions."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.resampling import Layout, resampled
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.nn.waves import Line

DOUBLE = torch.float64


def field(shape: tuple[int, ...], channels: int = 3, samples: int = 2, waves: int = 2) -> Tensor:
    """Smooth periodic functions (sample, channel, *space), the same at every resolution."""
    draw = torch.Generator().manual_seed(5)
    grids = torch.meshgrid(*(torch.arange(n, dtype=DOUBLE) / n for n in shape), indexing="ij")
    found = torch.zeros(samples, channels, *shape, dtype=DOUBLE)
    for _ in range(6):
        k = torch.randint(-waves, waves + 1, (len(shape),), generator=draw).to(DOUBLE)
        a, phase = torch.randn(2, samples, channels, dtype=DOUBLE, generator=draw)
        wave = sum(float(m) * g for m, g in zip(k, grids, strict=True)) * 2 * math.pi
        at = (slice(None), slice(None), *[None] * len(shape))
        found = found + a[at] * torch.cos(wave + phase[at])
    return found


def layer(modes: tuple[int, ...], **settings: Any) -> SpectralConvolution:
    torch.manual_seed(0)
    return SpectralConvolution(3, 4, modes, **settings).double()


@pytest.mark.parametrize("rank", [None, 0.5])
@pytest.mark.parametrize(
    ("modes", "shape"), [((8,), (16,)), ((8,), (15,)), ((6, 8), (16, 12)), ((8, 8), (8, 8)), ((4, 6, 4), (8, 10, 6))]
)
def test_the_package_gives_the_same_on_axes_of_even_size(modes: Any, shape: Any, rank: float | None) -> None:
    from neuralop.layers.spectral_convolution import SpectralConv

    kind: dict[str, Any] = {} if rank is None else {"factorization": "tucker", "rank": rank}
    ours = layer(modes, **kind).float()
    torch.manual_seed(0)
    with quiet():
        theirs = SpectralConv(3, 4, modes, implementation="factorized", **kind)
    x = field(shape, waves=4).float()
    assert torch.allclose(ours(x), theirs(x), atol=2e-6, rtol=1e-5)
    # a complex number is two
    count = sum(p.numel() * (2 if p.is_complex() else 1) for p in theirs.parameters())
    assert sum(p.numel() for p in ours.parameters()) == count and not any(p.is_complex() for p in ours.parameters())


@pytest.mark.parametrize(
    ("shape", "modes"), [((9, 11), (4, 4)), ((10, 7), (4, 4)), ((12, 12), (4, 4)), ((12, 10), (5, 5))]
)
def test_it_multiplies_each_mode_by_its_matrix(shape: tuple[int, int], modes: tuple[int, int]) -> None:
    made = layer(modes)
    x = field(shape)
    weight = torch.view_as_complex(made.weights[0])
    n, m = shape
    i, j = torch.meshgrid(torch.arange(n).to(DOUBLE) / n, torch.arange(m).to(DOUBLE) / m, indexing="ij")
    expected = torch.zeros(2, 4, n, m, dtype=DOUBLE)
    for k in range(-2, modes[0] - 2):
        for q in range(3):
            wave = torch.exp(2j * math.pi * (k * i + q * j))
            coefficient = (x * wave.conj()).mean((-2, -1))
            product = torch.einsum("bi,io->bo", coefficient, weight[2 + k, q])
            # with the conjugate mode, which a real function has too
            expected += (1 if q == 0 else 2) * (product[:, :, None, None] * wave).real
    assert torch.allclose(made(x) - made.bias, expected, atol=1e-12)


@pytest.mark.parametrize("modes", [(8,), (6, 6), (4, 4, 4)])
def test_values_do_not_depend_on_the_resolution(modes: tuple[int, ...]) -> None:
    made = layer(modes)
    d = len(modes)
    coarse, fine = made(field((12,) * d)), made(field((24,) * d))
    every = (slice(None), slice(None), *[slice(None, None, 2)] * d)
    assert torch.allclose(fine[every], coarse, atol=1e-12)
    odd = made(field((15,) * d))
    thirds, fifths = (slice(None), slice(None), *[slice(None, None, 5)] * d), [slice(None, None, 4)] * d
    assert torch.allclose(odd[thirds], coarse[(slice(None), slice(None), *fifths)], atol=1e-12)
    # the resolution of what comes out
    assert torch.allclose(made(field((12,) * d), output_shape=(24,) * d), fine, atol=1e-12)
    assert torch.allclose(made(field((24,) * d), output_shape=(12,) * d), coarse, atol=1e-12)
    halved = layer(modes, resolution_scaling_factor=0.5)
    assert torch.allclose(halved(field((24,) * d)), coarse, atol=1e-12)


@pytest.mark.parametrize("kind", ["nodes", "cells"])
def test_other_points_of_a_domain_with_ends_get_the_values_that_belong_there(kind: Layout) -> None:
    made = layer((6, 6), lines=(Line(), Line(kind, 1.2)))
    x = torch.randn(2, 3, 10, 12, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    here, there = made(x), made(x, output_shape=(10, 23 if kind == "nodes" else 36))
    # each second node, and the middle of each three cells, are points of the coarse grid
    again = there[..., ::2] if kind == "nodes" else there[..., 1::3]
    assert torch.allclose(here, again, atol=1e-12)


def test_the_packages_layer_shifts_odd_axes() -> None:
    from neuralop.layers.spectral_convolution import SpectralConv

    # why it is not taken as it is: the same function at 15 points is another one
    torch.manual_seed(0)
    with quiet():
        made = SpectralConv(3, 4, (6, 6))
    even, odd = made(field((30, 30)).float())[..., ::2, ::2], made(field((15, 15)).float())
    assert float((even - odd).detach().abs().max()) > 0.1


def test_precision_and_copies() -> None:
    made = layer((6, 6))
    x = field((12, 12))
    full = made(x)
    assert full.dtype == DOUBLE and torch.allclose(copy.deepcopy(made)(x), full)
    single = copy.deepcopy(made).float()
    assert 1e-9 < float((single(x.float()) - full).detach().abs().max()) < 1e-5  # float64 is no float32 in disguise
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = single(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, single(x.to(torch.bfloat16).float()).to(torch.bfloat16))
    assert torch.autograd.gradcheck(lambda v: made(v), (x[:1, :, :7, :7].clone().requires_grad_(),))
    full.square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.parameters())


PAIRS = [(12, 24), (24, 12), (9, 16), (16, 9), (7, 5), (1, 4), (4, 1)]


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    # nodes are two at least
    [(kind, *pair) for kind in ("periodic", "nodes", "cells") for pair in PAIRS if kind != "nodes" or 1 not in pair],
)
def test_resampling_is_exact_for_waves_that_both_grids_hold(kind: Layout, given: int, wanted: int) -> None:

    def values(n: int) -> Tensor:
        i = torch.arange(n, dtype=DOUBLE)
        x = {"periodic": i / n, "nodes": i / max(n - 1, 1), "cells": (i + 0.5) / n}[kind]
        top = min(given, wanted)
        waves = [torch.ones_like(x)]
        if kind == "periodic":
            waves += [f(2 * math.pi * k * x) for k in range(1, (top - 1) // 2 + 1) for f in (torch.cos, torch.sin)]
        else:
            waves += [torch.cos(math.pi * k * x) for k in range(1, top)]
        return torch.stack(waves)[None]

    assert torch.allclose(resampled(values(given), (wanted,), (kind,)), values(wanted), atol=1e-12)


def test_the_import_leaves_the_filters_of_warnings() -> None:
    before = list(warnings.filters)
    with quiet():
        import neuralop  # noqa: F401

        print("never seen")
    assert warnings.filters == before


def test_the_gradient_keeps_the_spectrum_and_the_weights_and_no_copies_of_them() -> None:
    conv = SpectralConvolution(16, 16, (12, 12))
    x = torch.randn(2, 16, 32, 32, requires_grad=True)
    weights = {p.untyped_storage().data_ptr() for p in conv.parameters()}
    kept: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        conv(x)
    constants = 4 * 32 * 2 * 32 * 4  # matrices of the transforms, at most, which all layers share
    spectrum = 2 * 16 * 12 * 7 * 2 * 4
    assert spectrum + constants < conv.weights[0].nbytes
    assert sum(size for place, size in kept.items() if place not in weights) <= spectrum + constants
