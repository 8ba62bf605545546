"""How much memory an evaluation takes, counted while it is made: tensors, whatever holds them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

T = TypeVar("T")


@dataclass(frozen=True)
class Footprint:
    """Bytes of the tensors that an evaluation made: the most at once, and those that its result still holds."""

    peak: int = 0
    held: int = 0


def measured(evaluate: Callable[[], T]) -> tuple[T, Footprint]:
    """What an evaluation gives, and its footprint. What existed before is not counted."""
    with _Live() as live:
        result = evaluate()
    return result, Footprint(live.peak, live.now)


class _Live(TorchDispatchMode):
    """Counts the storages that operations make, backward passes included, until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch would import its compiler, a second, to keep it away from here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = {tensor.untyped_storage()._cdata for tensor in _tensors((*args, *kwargs.values()))}
        out = func(*args, **kwargs)
        for tensor in _tensors((out,)):
            storage = tensor.untyped_storage()
            if storage._cdata not in before and storage._cdata not in self._known:
                self._add(storage)
        return out

    def _add(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()

        def freed(_: Any) -> None:
            self.now -= size
            self._known.pop(key, None)

        self._known[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors among what an operation takes or gives, in its lists too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
