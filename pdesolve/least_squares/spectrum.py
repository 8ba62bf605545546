"""Singular values of a Jacobian: truncated solves, and any function of JᵀJ."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.least_squares.factor import reduced
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import Jacobian


class Spectrum(ABC):
    """J = U S Vᵀ with the singular values above a cut; smaller ones count as zero.

    values S (*batch, k) falling, zero where cut; coefficients Uᵀr (*batch, k). note: how many were cut; empty for none.
    """

    values: Tensor
    coefficients: Tensor

    @property
    def note(self) -> str:
        kept = int((self.values > 0).sum(-1).min())
        if kept == self.values.shape[-1]:
            return ""
        return (
            f"J is rank-deficient, {kept} of {self.values.shape[-1]} singular values are above the cut: others left out"
        )

    @abstractmethod
    def inside(self, v: Tensor) -> Tensor:
        """Vᵀ v (*batch, k) of v (*batch, parameter); zero where cut."""

    @abstractmethod
    def outward(self, z: Tensor) -> Tensor:
        """V z (*batch, parameter) of z (*batch, k)."""

    def solve(self) -> Tensor:
        """The shortest d that minimises |J d − r|², the truncated singular value solution."""
        return self.outward(self._inverse() * self.coefficients)

    def normal(self, g: Tensor) -> Tensor:
        """(JᵀJ)⁺ g."""
        return self.outward(self._inverse().square() * self.inside(g))

    def _inverse(self) -> Tensor:
        return torch.where(self.values > 0, 1 / self.values, 0.0)


def spectrum(jacobian: Jacobian, r: Tensor, form: Form, *, cut: float) -> Spectrum:
    """The singular values above cut times the largest, of J itself (dense) or of J Jᵀ (kernel).

    Raises:
        InputError: a matrix-free form, which has no singular values.
    """
    if form.kind == "matrix_free":
        raise InputError(
            f"singular values need J or J J^T, {form.rows} rows and {form.parameters} parameters are planned without: "
            "use LevenbergMarquardt, or a subset of the parameters"
        )
    return DenseSpectrum(jacobian, r, cut) if form.kind == "dense" else KernelSpectrum(jacobian, r, cut)


class DenseSpectrum(Spectrum):
    """By QR and then singular values of the triangle: small singular values keep their digits."""

    def __init__(self, jacobian: Jacobian, r: Tensor, cut: float) -> None:
        small, c, self._basis = reduced(jacobian, r)
        u, s, vh = torch.linalg.svd(small, full_matrices=False)
        kept = s > cut * s[..., :1]
        self.values = torch.where(kept, s, 0.0)
        self.coefficients = torch.where(kept, (u.mT @ c[..., None])[..., 0], 0.0)
        self._kept, self._vh = kept, vh

    def inside(self, v: Tensor) -> Tensor:
        v = v if self._basis is None else (self._basis.mT @ v[..., None])[..., 0]
        return torch.where(self._kept, (self._vh @ v[..., None])[..., 0], 0.0)

    def outward(self, z: Tensor) -> Tensor:
        v = self._vh.mT @ torch.where(self._kept, z, 0.0)[..., None]
        return v[..., 0] if self._basis is None else (self._basis @ v)[..., 0]


class KernelSpectrum(Spectrum):
    """By eigenvalues of J Jᵀ = U S² Uᵀ and V = Jᵀ U S⁻¹.

    Squares the condition number: singular values below about √rounding of the largest (1e-8 in float64) are cut.
    """

    def __init__(self, jacobian: Jacobian, r: Tensor, cut: float) -> None:
        squares, u = torch.linalg.eigh(jacobian.gram())
        squares, self._u = squares.flip(-1).clamp_min(0), u.flip(-1)
        floor = torch.finfo(r.dtype).eps * jacobian.rows
        self._kept = squares > max(cut**2, floor) * squares[..., :1]
        self._jacobian = jacobian
        self.values = torch.where(self._kept, squares.sqrt(), 0.0)
        self.coefficients = torch.where(self._kept, (self._u.mT @ r[..., None])[..., 0], 0.0)

    def inside(self, v: Tensor) -> Tensor:
        return self._inverse() * (self._u.mT @ self._jacobian.times(v)[..., None])[..., 0]

    def outward(self, z: Tensor) -> Tensor:
        return self._jacobian.transposed((self._u @ (self._inverse() * z)[..., None])[..., 0])
