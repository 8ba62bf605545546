"""Spectral filters of single channels whose gain is below one at every wave."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.operators.stable_fno.bounded import ComplexMixing
from pdesolve.training.reduction import differentiable_mean

_MOMENTUM = 0.1  # of the running moments of the waves
_START = 0.5  # size of the multipliers at first


def disc(highest: Sequence[int]) -> Tensor:
    """Wavevectors (wave, axis) with sum_i (k_i / highest_i)^2 <= 1 of real fields, which need k_last >= 0 only."""
    sides = [torch.arange(-h, h + 1) for h in highest[:-1]] + [torch.arange(highest[-1] + 1)]
    waves = torch.stack([k.flatten() for k in torch.meshgrid(*sides, indexing="ij")], -1)
    # a highest wave of zero has no others beside it
    scaled = waves.double() / torch.tensor(highest, dtype=torch.float64).clamp(min=0.5)
    return waves[scaled.square().sum(-1) <= 1 + 1e-12]


def indices(waves: Tensor, shape: Sequence[int]) -> Tensor:
    """Where wavevectors (wave, axis) lie in the flattened half spectrum of a grid of this shape."""
    at = torch.zeros_like(waves[:, 0])
    for axis, size in enumerate(shape):
        at = at * (size if axis < len(shape) - 1 else size // 2 + 1) + waves[:, axis] % size
    return at


def as_real(v: Tensor) -> Tensor:
    """Values in single precision at least: half precision has neither the transforms nor their digits."""
    return v if v.dtype in (torch.float32, torch.float64) else v.float()


def bounded(z: Tensor) -> Tensor:
    """m = z / sqrt(1 + |z|^2) of complex z: any multiplier with |m| < 1."""
    return z * torch.rsqrt(1 + z.real.square() + z.imag.square())


class Filter(nn.Module, ABC):
    """v -> F^-1 (m F v), with a multiplier m for each channel and wave of a disc, |m| < 1; all other waves are cut off.

    Multipliers belong to wavevectors, so that they mean the same on every grid that has these waves. Of waves whose
    last component is zero the inverse transform takes the mean of m(k) and the conjugate of m(-k).
    """

    waves: Tensor

    def __init__(self, channels: int, highest: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("waves", disc(highest), persistent=False)
        # one phase for all waves of a channel: independent ones would smear each channel over the whole box
        angle = 2 * math.pi * torch.rand(channels, 1)
        parts = torch.stack([angle.cos(), angle.sin()], -1) * _START / math.sqrt(1 - _START**2)
        self.parts = nn.Parameter(parts.repeat(1, len(self.waves), 1))

    @abstractmethod
    def multiplier(self, coefficients: Tensor, at: Tensor) -> Tensor:
        """m (channel, wave) or (sample, channel, wave), from coefficients (sample, channel, *half spectrum)."""

    def forward(self, v: Tensor) -> Tensor:
        shape, dims = v.shape[2:], tuple(range(2, v.ndim))
        with torch.autocast(v.device.type, enabled=False):
            coefficients = torch.fft.rfftn(as_real(v), dim=dims, norm="forward")
            at = indices(self.waves, shape)
            gains = self.multiplier(coefficients, at)
            whole = gains.new_zeros(*gains.shape[:-1], math.prod(coefficients.shape[2:])).index_copy(-1, at, gains)
            filtered = coefficients * whole.unflatten(-1, coefficients.shape[2:])
            return torch.fft.irfftn(filtered, s=shape, dim=dims, norm="forward")


class BoundedFilter(Filter):
    """m = z / sqrt(1 + |z|^2), z a learned complex number for each channel and wave."""

    def multiplier(self, coefficients: Tensor, at: Tensor) -> Tensor:
        return bounded(torch.view_as_complex(self.parts))


class DynamicFilter(Filter):
    """A filter that depends on what it filters,

        m = (z + Y) / sqrt(1 + |z + Y|^2),   Y = C_2 modReLU(C_1 X),   modReLU(y) = GELU(|y| + b) y / |y|,

    X the waves, standardised by their moments over channels and the samples of all processes and then scaled and moved
    for each channel; C_1 and C_2 complex matrices that all waves share. In evaluation the moments are running means
    (momentum 0.1) of those seen in training.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, highest: Sequence[int]) -> None:
        super().__init__(channels, highest)
        self.scale = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 2))
        self.threshold = nn.Parameter(torch.zeros(1))
        self.first, self.second = ComplexMixing(channels, channels), ComplexMixing(channels, channels)
        self.register_buffer("mean", torch.zeros(len(self.waves), 2))
        self.register_buffer("variance", torch.ones(len(self.waves)))

    def _standardised(self, waves: Tensor) -> Tensor:
        if self.training:
            mean = torch.view_as_complex(differentiable_mean(torch.view_as_real(waves.mean(1))))
            variance = differentiable_mean(torch.view_as_real(waves - mean).square().sum(-1).mean(1))
            with torch.no_grad():
                self.mean.lerp_(torch.view_as_real(mean), _MOMENTUM)
                self.variance.lerp_(variance, _MOMENTUM)
        else:
            mean, variance = torch.view_as_complex(self.mean), self.variance
        return (waves - mean) * torch.rsqrt(variance + 1e-24)

    def multiplier(self, coefficients: Tensor, at: Tensor) -> Tensor:
        x = self._standardised(coefficients.flatten(2)[..., at])
        y = self.first(x * torch.view_as_complex(self.scale) + torch.view_as_complex(self.shift))
        y = self.second(functional.gelu(y.abs() + self.threshold) * torch.sgn(y))
        return bounded(torch.view_as_complex(self.parts) + y)


def low_pass(v: Tensor, highest: Sequence[float]) -> Tensor:
    """The waves of v (sample, channel, *torus) with sum_i (k_i / highest_i)^2 <= 1."""
    shape, dims = v.shape[2:], tuple(range(2, v.ndim))
    with torch.autocast(v.device.type, enabled=False):
        real = as_real(v)
        sides = [torch.fft.fftfreq(n, 1 / n, device=v.device, dtype=real.dtype) for n in shape]
        sides[-1] = torch.fft.rfftfreq(shape[-1], 1 / shape[-1], device=v.device, dtype=real.dtype)
        scaled = [(side / max(top, 0.5)).square() for side, top in zip(sides, highest, strict=True)]
        inside = torch.stack(torch.meshgrid(*scaled, indexing="ij")).sum(0) <= 1 + 1e-6
        return torch.fft.irfftn(torch.fft.rfftn(real, dim=dims) * inside, s=shape, dim=dims)
