"""`python -m pdesolve`: the command, where no console script is at hand."""

import sys

from pdesolve.cli import main

sys.exit(main())
