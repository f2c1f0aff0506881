# `make demo` and `make test` need Python 3.11, make and the package index; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Works where the machine has no libGL, which opencv-python needs and its headless twin does not.
HEADLESS := opencv-python-headless

.PHONY: demo test lint docs setup clean

demo: setup
	$(BIN)/avaffect predict sample_media/one_person.mp4 --task all -o demo_out --overwrite
	@echo "open demo_out/report.html in a browser to see it"

test: lint
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		echo "no chromium here: the tests that open pages in a browser are skipped"
	$(BIN)/python -m pytest --cov -n 2 --dist loadscope

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages of docs/ as a site in site/; a broken link is an error. Opens no connection.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

setup: $(VENV)/.ready

$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable ".[dev,docs,features]"
	$(BIN)/python -c "import cv2" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--force-reinstall --constraint constraints.txt $(HEADLESS)
	touch $@

clean:
	rm -rf $(VENV) demo_out build site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
