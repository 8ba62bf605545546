"""Modules in another precision: complex numbers keep their imaginary parts, whole numbers stay."""

from __future__ import annotations

import torch
from torch import nn

from pdesolve.nn.precision import in_precision


def test_complex_numbers_take_the_type_of_their_pairs() -> None:
    module = nn.ParameterList([torch.ones(2), torch.tensor([1 + 2j])])
    module.register_buffer("numbers", torch.arange(3))
    wide = in_precision(module, torch.float64)
    assert [p.dtype for p in wide] == [torch.float64, torch.complex128]
    narrow = in_precision(wide, torch.float32)
    assert [p.dtype for p in narrow] == [torch.float32, torch.complex64] and narrow[1].tolist() == [1 + 2j]
    assert module.numbers.dtype == torch.int64
