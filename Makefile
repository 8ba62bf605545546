# Two commands do everything on a fresh machine: `make demo` and `make test`. Each makes .venv when it is missing; an
# active environment (or PYTHON=/path/to/python) that has torch >= 2.6 is used instead and keeps its torch.

PYTHON ?= $(shell command -v python3 || command -v python)
BUDGET ?= 40s
ARGUMENTS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint accuracy

help:
	@echo "make demo      solve the Burgers shock by a neural network and say where the picture is"
	@echo "make test      run the tests (ARGUMENTS='-k burgers' goes to pytest)"
	@echo "make test-all  run the slow ones too"
	@echo "make lint      ruff and pyright"
	@echo "make accuracy  the table of pinn's accuracy, three hours of CPU time; goes on where it was interrupted"

demo:
	@python=$$("$(PYTHON)" .ci/environment.py) || exit 2; \
	"$$python" -m pdesolve solve burgers_shock --method pinn --budget $(BUDGET)

test:
	@python=$$("$(PYTHON)" .ci/environment.py --dev) || exit 2; \
	"$$python" -m pytest -q $(ARGUMENTS)

test-all:
	@python=$$("$(PYTHON)" .ci/environment.py --dev) || exit 2; \
	"$$python" -m pytest -q -m "" $(ARGUMENTS)

lint:
	@python=$$("$(PYTHON)" .ci/environment.py --dev) || exit 2; \
	"$$python" -m ruff check && "$$python" -m pyright --pythonpath "$$python"

accuracy:
	@python=$$("$(PYTHON)" .ci/environment.py) || exit 2; \
	"$$python" experiments/accuracy/pinn.py $(ARGUMENTS)
