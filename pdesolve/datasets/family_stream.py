"""Batches of samples that are simulated while a method trains, without end and without a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.order import Shuffled
from pdesolve.datasets.production import batch_for, numbers_per_sample, produced
from pdesolve.datasets.streaming import Position
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Family
from pdesolve.training.processes import place


class FamilyStream:
    """Endless batches of the windows of a task over new samples of a family: every window once, none a second time.

        for step, batch in zip(range(1000), FamilyStream(make_family("darcy"), Task(("permeability",), ("u",)))):

    Samples are simulated in blocks, of which the windows are shuffled: block k of rank r has the numbers
    (k ranks + r) block to (k ranks + r + 1) block - 1 of the seed, those that a file of the family would hold; batches
    tell them. Samples that fail the checks of `generate` are left out and counted in `failed`. The last batch of a
    block may have fewer windows.

    batch: windows in each. block: samples that are simulated together; None takes as many as `generate` would, and at
    least a batch. device: where samples are simulated and batches lie. rank, ranks: which of how many processes this
    is; as torchrun says, where they are None.

    Raises:
        InputError: sizes that are not positive, or a task that does not fit the family.
        Diverged: a block of which no sample passes its checks.
    """

    def __init__(
        self, family: Family, task: Task, *, batch: int = 32, seed: int = 0, block: int | None = None,
        device: str = "cpu", dtype: torch.dtype = torch.float32, rank: int | None = None, ranks: int | None = None,
    ) -> None:  # fmt: skip
        if batch < 1 or (block is not None and block < 1):
            raise InputError(f"expected batch >= 1 and block >= 1, got {batch} and {block}")
        self.family, self.task, self.size, self.seed, self.device, self.dtype = family, task, batch, seed, device, dtype
        self.samples = block or max(batch, batch_for(numbers_per_sample(family, seed)))
        here = place()
        self.rank, self.ranks = here[0] if rank is None else rank, here[1] if ranks is None else ranks
        if not 0 <= self.rank < self.ranks:
            raise InputError(f"a rank is one of 0 to ranks - 1, got rank {self.rank} of {self.ranks}")
        self.block, self.batch, self.failed = 0, 0, 0

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the one that is due on."""
        while True:
            windows, samples = self._windows(self.block)
            order = np.concatenate(list(Shuffled(len(windows), self.seed).parts(0, len(windows), self._number)))
            while self.batch * self.size < len(order):
                begin = self.batch * self.size
                found = windows.batch(order[begin : begin + self.size], epoch=self._number)
                self.batch += 1
                yield replace(found, numbers=samples[found.numbers]).to(self.device)
            self.block, self.batch = self.block + 1, 0

    def position(self) -> Position:
        """The batch that comes next."""
        return Position(self.block, self.batch, self._order)

    def resume(self, position: Position) -> None:
        """Go on where another stream of the same settings was; its block is simulated again.

        Raises:
            InputError: the settings differ, so that the batches would too.
        """
        if position.order != self._order:
            raise InputError(f"the order of batches was that of {position.order} and is that of {self._order}")
        self.block, self.batch = position.epoch, position.batch

    @property
    def _number(self) -> int:
        """Of the block that is due, among those of all processes."""
        return self.block * self.ranks + self.rank

    @property
    def _order(self) -> str:
        return (
            f"{self.family} of seed {self.seed}, batch={self.size}, block={self.samples}, rank={self.rank} of "
            f"{self.ranks}"
        )

    def _windows(self, block: int) -> tuple[Windows, Tensor]:
        """The windows of a block, and the numbers of the samples that they are of."""
        first = (block * self.ranks + self.rank) * self.samples
        data, record = produced(self.family, self.seed, range(first, first + self.samples), device=self.device)
        self.failed += len(record.failed)
        if data is None:
            raise Diverged(
                f"{self.family}: none of the samples {first} to {first + self.samples - 1} passes its checks, the "
                f"first since {record.failed[first]}"
            )
        kept = [number for number in range(first, first + self.samples) if number not in record.failed]
        return Windows(data, self.task, dtype=self.dtype), torch.tensor(kept)
