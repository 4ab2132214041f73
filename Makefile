# `make demo`: two talking videos; `make test`: all tests; `make lint`. Needs only Python >= 3.10.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# face-alignment brings opencv's other build, which needs libGL; this one has the same module without windows.
HEADLESS := $(BIN)/pip install -q --force-reinstall --no-deps -c constraints.txt opencv-python-headless

.PHONY: demo test lint clean

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e .
	$(HEADLESS)
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[test,train]'
	$(HEADLESS)
	touch $@

demo: $(VENV)/.demo
	mkdir -p demo
	FLOATCLI_OFFLINE=1 $(BIN)/floatcli animate --weights embedded examples/portrait.png examples/speech.wav --crop none -o demo/portrait.mp4
	$(BIN)/python examples/photograph.py demo/photograph.png
	FLOATCLI_OFFLINE=1 $(BIN)/floatcli animate --weights embedded demo/photograph.png examples/speech.wav -o demo/photograph.mp4

test: $(VENV)/.test
	$(BIN)/pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist demo
