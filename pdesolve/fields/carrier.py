"""How jet coordinates make fields of a network: one forward pass with what is wanted, or a note of what is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from pdesolve.fields.engines import Engine
from pdesolve.fields.field import Quantity
from pdesolve.fields.jet_field import JetField, of
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Channel, Combination, Index, closure, zero
from pdesolve.fields.partials import Asked, Given, Part
from pdesolve.fields.point import Places
from pdesolve.fields.propagation import propagate

Function = Callable[[Tensor], Tensor]
Once = Callable[[Any, Callable[[], Jet]], Jet]  # what is made the first time it is asked for by a key
# the partials of each output by its name, or of all of them, and sums of such
Wanted = Mapping[str, Iterable[Channel]] | Sequence[Channel] | Set[Channel]


class Carrier(ABC):
    """What gives the outputs of a network as jet fields."""

    @abstractmethod
    def outputs(
        self, function: Function, table: Tensor, fixed: Iterable[int], places: Places, quantities: Sequence[Quantity],
        once: Once,
    ) -> dict[str, JetField]:  # fmt: skip
        """One field for each output at the points of `table` (point, axis); columns in `fixed` are constants."""


class Propagation(Carrier):
    """One forward pass that carries what is wanted."""

    def __init__(self, wanted: Wanted, engine: Engine) -> None:
        self.wanted, self.engine = wanted, engine

    def outputs(
        self, function: Function, table: Tensor, fixed: Iterable[int], places: Places, quantities: Sequence[Quantity],
        once: Once,
    ) -> dict[str, JetField]:  # fmt: skip
        wanted = {q.name: set(self.wanted.get(q.name, ()) if isinstance(self.wanted, Mapping) else self.wanted)
                  for q in quantities}  # fmt: skip
        carried = closure(frozenset({zero(table.shape[1])}.union(*wanted.values())))
        points = Jet.of_points(table, carried, constant=fixed)
        first, rest = _parts(function)
        jet = points if first is None else once(first, lambda: _given(first, points))
        if rest is not None:
            jet = self.engine(rest, jet.asking(set[Channel]().union(*wanted.values())))
        fields = {}
        columns = [channel.unbind(1) for channel in jet.channels]
        for i, quantity in enumerate(quantities):
            given = {channel: column[i] for channel, column in zip(jet.indices, columns, strict=True)}
            parts, known = _split(given, jet.wanted, wanted[quantity.name])
            fields[quantity.name] = of(Given(quantity.name, parts, known, places.axes), places, quantity)
        return fields


_rests: WeakKeyDictionary[nn.Module, nn.Sequential] = WeakKeyDictionary()


def _parts(function: Function) -> tuple[nn.Module | None, Function | None]:
    """What of a function is the same at each step, since nothing in it is trained, and the rest of it."""
    if not isinstance(function, nn.Module):
        return None, function
    if next(function.parameters(), None) is None:
        return function, None
    if not isinstance(function, nn.Sequential) or next(function[0].parameters(), None) is not None:
        return None, function
    if function not in _rests:  # compiled functions are found again by it
        _rests[function] = nn.Sequential(*list(function)[1:])
    return function[0], _rests[function]


@torch.no_grad()
def _given(first: nn.Module, points: Jet) -> Jet:
    return propagate(first, points)


def _split(
    given: Mapping[Channel, Tensor], carried: Iterable[Channel], wanted: Iterable[Channel]
) -> tuple[dict[Index, Part], set[Index]]:
    """Partials of an output, those that are not zero and all that are known, such that the sums it is for are right.

    Of a sum u_α + c u_β + ... the first stands for all of it and the others for nothing.
    """
    parts: dict[Index, Part] = {i: part for i, part in given.items() if not isinstance(i, Combination)}
    known = {i for i in carried if not isinstance(i, Combination)}
    for channel in wanted:
        if isinstance(channel, Combination):
            (first, _), *others = channel.terms
            parts |= {first: given.get(channel, 0.0), **{alpha: 0.0 for alpha, _ in others}}
            known.update(alpha for alpha, _ in channel.terms)
    return parts, known


class Recorder(Carrier):
    """No network: arbitrary values, and a note of each partial that is asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, set[Index]] = {}

    def outputs(
        self, function: Function, table: Tensor, fixed: Iterable[int], places: Places, quantities: Sequence[Quantity],
        once: Once,
    ) -> dict[str, JetField]:  # fmt: skip
        for quantity in quantities:
            self.asked.setdefault(quantity.name, {zero(table.shape[1])})
        return {q.name: of(Asked(q.name, self.asked[q.name], table[:, 0]), places, q) for q in quantities}


def fields_of(content: Any) -> Iterator[Any]:
    """All fields in what a formula returned: one, vectors, mappings and sequences of them."""
    if isinstance(content, Mapping):
        content = content.values()
    if isinstance(content, Tensor) or not isinstance(content, Iterable):
        yield content
        return
    for part in content:
        yield from fields_of(part)
