"""Memory that training keeps between its steps."""

import resource
import sys

import pytest
import torch

from pdesolve.training.allocation import kept_memory


def faults(work) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def step() -> None:
    """Tensors of 40 and 80 MB, beyond the largest threshold of malloc."""
    torch.ones(10_000_000).add(1.0).repeat(2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of glibc")
def test_steps_take_the_memory_of_the_step_before():
    step()
    each = faults(step)
    with kept_memory():
        for _ in range(5):
            step()
        kept = faults(lambda: [step() for _ in range(5)])
    after = faults(step)
    assert kept < each / 10, (kept, each)
    assert after > each / 2, "behind the block memory is given back"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of glibc")
def test_behind_the_block_free_memory_goes_back():
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    before = resident()
    with kept_memory():
        step()
        inside = resident()
    assert inside > before + 100e6
    assert resident() < before + 20e6


def test_errors_pass_through():
    with pytest.raises(KeyError), kept_memory():
        raise KeyError("x")
