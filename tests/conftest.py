"""Settings of the whole test suite."""

from __future__ import annotations

import torch

# small operations: several threads would only wait for one another, and more so beside other test processes
torch.set_num_threads(1)
