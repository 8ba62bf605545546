"""Spectral convolution: the layer that Fourier neural operators of the neuraloperator package are built with here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.fields.stencils import apply_matrix
from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.resampling import resampled
from pdesolve.nn.waves import (
    Line,
    Modes,
    analysis,
    first_analysis,
    last_synthesis,
    real_modes,
    signed_modes,
    synthesis,
)  # fmt: skip

with quiet():
    from neuralop.layers.spectral_convolution import SpectralConv


class SpectralConvolution(nn.Module):
    """Multiplication of the lowest Fourier modes by learned matrices:

        û = F u,   ŵ_k = R_k û_k for the modes k that are kept and 0 else,   w = F⁻¹ ŵ + b

    With Tucker factors R_k = U_out (G ×_1 U_1[k_1] … ×_d U_d[k_d]) U_in holds about the fraction `rank` of its numbers.

    n_modes: of each axis, both signs counted: -m/2 ... m/2 - 1, of the last axis 0 ... m/2 and their conjugates. A grid
    too coarse for some of them leaves these out. resolution_scaling_factor: of the output, over all axes or for each.
    lines: how the points of each axis lie and the period of its waves; û are integrals over the domain. Where functions
    do not go round, a period longer than the axis is what padding with zeros is elsewhere.

    It takes the place of the package's own layer (`conv_module`), which its initial weights are drawn by. That one
    rounds float64 to float32, cannot run under bfloat16, shifts modes on axes of odd size by one, and loses the
    negative ones where the resolution changes. Weights are held as real tensors (..., 2): optimisers, sharding and
    `Module.to` treat them right, and their number is what `numel` says.

    Source: Z. Li et al. (2021), arXiv:2010.08895; J. Kossaifi et al. (2023), arXiv:2310.00120.
    """

    def __init__(
        self, in_channels: int, out_channels: int, n_modes: Sequence[int], *,
        resolution_scaling_factor: Any = None, max_n_modes: Any = None, rank: float = 1.0,
        fixed_rank_modes: Any = None, implementation: str = "factorized", separable: bool = False,
        factorization: str | None = None, fno_block_precision: str = "full",
        decomposition_kwargs: dict | None = None, complex_data: bool = False,
        lines: tuple[Line, ...] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        form = (factorization or "dense").lower()
        if separable or complex_data or max_n_modes is not None or fno_block_precision != "full":
            raise ValueError("only full spectral convolutions of real functions are implemented")
        if form not in ("dense", "tucker"):
            raise ValueError(f"weights are dense or of Tucker form, got {factorization}")
        with quiet():
            made: Any = SpectralConv(
                in_channels, out_channels, tuple(n_modes), rank=rank, factorization=factorization,
                fixed_rank_modes=fixed_rank_modes, decomposition_kwargs=decomposition_kwargs,
            )  # fmt: skip
        core, *factors = [made.weight.core, *made.weight.factors] if form == "tucker" else [made.weight.to_tensor()]
        # channels last, as products over them want it
        parts = [core.movedim((0, 1), (-2, -1)), *factors]
        self.weights = nn.ParameterList(torch.view_as_real(p.detach().contiguous()).clone() for p in parts)
        self.bias = nn.Parameter(made.bias.detach().clone())
        self.modes = tuple(made.n_modes)  # of the last axis, half
        count = len(self.modes)
        self.scaling = None if resolution_scaling_factor is None else _each(resolution_scaling_factor, count)
        self.lines = lines or (Line(),) * count

    def forward(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """(sample, channel, *space) to (sample, channel, *space) of `output_shape`, else scaled by `scaling`."""
        # under autocast too: half precision would leave three digits of a transform
        with torch.autocast(x.device.type, enabled=False):
            return self._convolved(x if x.dtype == torch.float64 else x.float(), output_shape).to(x.dtype)

    def transform(self, x: Tensor, output_shape: Sequence[int] | None = None) -> Tensor:
        """x at the resolution that `forward` gives: what goes past the convolution."""
        return resampled(x, self._shape(x, output_shape), [line.layout for line in self.lines])

    def _shape(self, x: Tensor, output_shape: Sequence[int] | None) -> list[int]:
        given = list(x.shape[2:])
        if output_shape is not None:
            return list(output_shape)
        return given if self.scaling is None else [round(s * n) for s, n in zip(self.scaling, given, strict=True)]

    def _convolved(self, x: Tensor, output_shape: Sequence[int] | None) -> Tensor:
        given, wanted = list(x.shape[2:]), self._shape(x, output_shape)
        sizes = list(zip(self.lines, given, wanted, self.modes, strict=True))
        kept = [signed_modes(*size) for size in sizes[:-1]]
        last = real_modes(*sizes[-1])
        spectrum = first_analysis(x, self.lines[-1], last)
        for i, modes in enumerate(kept):
            spectrum = analysis(spectrum, i + 2, self.lines[i], modes)
        product = self._multiplied(spectrum, [*kept, last])
        for i, modes in enumerate(kept):
            product = synthesis(product, i + 2, self.lines[i], modes, wanted[i])
        return last_synthesis(product, self.lines[-1], last, wanted[-1]) + self.bias

    def _multiplied(self, spectrum: Tensor, kept: list[Modes]) -> Tensor:
        """The product of modes (sample, channel, *mode, 2) with their matrices."""
        core, *factors = self.weights
        below = [0 if i == len(kept) - 1 else m // 2 for i, m in enumerate(self.modes)]
        parts = [slice(low + first, low + after) for low, (first, after) in zip(below, kept, strict=True)]
        if not factors:
            return _product(spectrum, core[tuple(parts)])
        into, out, *along = (torch.view_as_complex(factor) for factor in factors)
        small = torch.view_as_complex(core)
        for i, (factor, part) in enumerate(zip(along, parts, strict=True)):
            small = apply_matrix(small, i, factor[part])
        inner = torch.einsum("bi...,ir->br...", torch.view_as_complex(spectrum.contiguous()), into)
        inner = _product(torch.view_as_real(inner), torch.view_as_real(small.resolve_conj()))
        return torch.view_as_real(torch.einsum("br...,or->bo...", torch.view_as_complex(inner.contiguous()), out))


def _product(spectrum: Tensor, weight: Tensor) -> Tensor:
    """Of modes (sample, in, *mode, 2) and matrices (*mode, in, out, 2): (sample, out, *mode, 2)."""
    modes = spectrum.shape[2:-1]
    rows = spectrum.flatten(2, -2).permute(2, 3, 0, 1)  # (mode, 2, sample, in)
    # real and imaginary parts as rows of one product of real matrices: of complex ones a batch is a loop on CPUs, and
    # so the weights are what the gradient needs, not a copy of them
    found = torch.bmm(rows.flatten(1, 2), weight.flatten(0, -4).flatten(2)).unflatten(1, (2, -1)).unflatten(3, (-1, 2))
    real, imaginary = found.unbind(1)  # times both parts of the weights: (mode, sample, out, 2)
    turned = torch.stack([-imaginary[..., 1], imaginary[..., 0]], -1)
    return (real + turned).permute(1, 2, 0, 3).unflatten(2, modes)


def _each(value: Any, count: int) -> list[float]:
    """One factor for each axis; the package wraps those of a layer in a list."""
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return [float(v) for v in value] if isinstance(value, (list, tuple)) else [float(value)] * count
