"""Memory that training keeps between its steps."""

import json
import subprocess
import sys

import pytest

from pdesolve.training.allocation import kept_memory

# in a process of its own: what other tests have freed would be taken first
MEASURED = """
import json, resource, torch
from pdesolve.training.allocation import kept_memory

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def step():  # tensors of 40 and 80 MB, beyond the largest threshold of malloc
    torch.ones(10_000_000).add(1.0).repeat(2)

step()
found = {"each": faults(step), "before": resident()}
with kept_memory():
    for _ in range(5):
        step()
    found["kept"] = faults(lambda: [step() for _ in range(5)])
    found["inside"] = resident()
print(json.dumps(found | {"behind": resident(), "after": faults(step)}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of glibc")
def test_steps_take_the_memory_of_the_step_before_and_give_it_back_in_the_end():
    said = subprocess.run([sys.executable, "-c", MEASURED], check=True, capture_output=True, text=True).stdout
    found = json.loads(said)
    assert found["kept"] < found["each"], found  # of five steps, one of which may find the free memory in pieces
    assert found["inside"] > found["before"] + 100e6, found
    assert found["behind"] < found["before"] + 20e6 and found["after"] > found["each"] / 2, found


def test_errors_pass_through():
    with pytest.raises(KeyError), kept_memory():
        raise KeyError("x")
