"""How jet coordinates make fields of a network: one forward pass with what is wanted, or a note of what is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from pdesolve.fields.engines import Engine
from pdesolve.fields.field import Quantity
from pdesolve.fields.jet_field import JetField, of
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Index, closure, zero
from pdesolve.fields.partials import Given, Part, Partials
from pdesolve.fields.point import Places
from pdesolve.fields.propagation import propagate

Function = Callable[[Tensor], Tensor]
Once = Callable[[Any, Callable[[], Jet]], Jet]  # what is made the first time it is asked for by a key
# the partials of each output by its name, or of all of them
Wanted = Mapping[str, Iterable[Index]] | Sequence[Index] | Set[Index]


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
        asked: set[Index] = {zero(table.shape[1])}
        if isinstance(self.wanted, Mapping):
            for quantity in quantities:
                asked.update(self.wanted.get(quantity.name, ()))
        else:
            asked.update(self.wanted)
        carried = closure(frozenset(asked))
        jet = Jet.of_points(table, carried, constant=fixed)
        first, rest = _parts(function)
        if first is not None:
            with torch.no_grad():
                jet = once(first, lambda: propagate(first, Jet.of_points(table, carried, constant=fixed)))
        if rest is not None:
            jet = self.engine(rest, jet)
        fields = {}
        columns = [channel.unbind(1) for channel in jet.channels]
        for i, quantity in enumerate(quantities):
            parts = {index: column[i] for index, column in zip(jet.indices, columns, strict=True)}
            fields[quantity.name] = of(Given(quantity.name, parts, carried, places.axes), places, quantity)
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
        return {q.name: of(_Asked(self.asked[q.name], table[:, 0]), places, q) for q in quantities}


class _Asked(Partials):
    def __init__(self, asked: set[Index], like: Tensor) -> None:
        super().__init__(free=False)
        self.asked, self.like = asked, like

    def make(self, index: Index) -> Part:
        self.asked.add(index)
        return torch.linspace(0.5, 1.0, len(self.like)).to(self.like) / len(self.asked)


def evaluated(content: Any) -> None:
    """Ask for the values of all fields in what a formula returned: one, vectors, mappings and sequences of them."""
    if isinstance(content, Mapping):
        content = content.values()
    if isinstance(content, Tensor) or not isinstance(content, Iterable):
        _ = getattr(content, "values", None)
        return
    for part in content:
        evaluated(part)
