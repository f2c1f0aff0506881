# `make demo` and `make test` need Python 3.11 to 3.13, make and the package index; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Works where the machine has no libGL, which opencv-python needs and its headless twin does not.
HEADLESS := opencv-python-headless

.PHONY: help demo test tests faults lint docs light setup release-check sbom licences fuzz goldens \
	versions mutants clean

help:                          ## what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|' \
		2>/dev/null || grep '##' $(firstword $(MAKEFILE_LIST))

demo: light                    ## predict a sample video into demo_out/, with its report
	$(BIN)/avaffect predict sample_media/one_person.mp4 --task all -o demo_out --overwrite
	@echo "open demo_out/report.html in a browser to see it"

test: lint tests               ## linters and tests; sets up everything (7 GB: torch brings CUDA)

tests: setup                   ## the tests alone
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		echo "no chromium here: the tests that open pages in a browser are skipped"
	$(BIN)/python -m pytest --cov --cov-fail-under=95 -n logical --maxprocesses 4 --dist worksteal

faults: setup                  ## kill every command 6 times, and let it meet full disks and the like (half an hour)
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m faults.kills
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m faults.trials

lint: setup                    ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A broken link is an error. Opens no connection.
docs: setup                    ## the pages of docs/ as a site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# In environments of their own: the wheel must need nothing of this one.
release-check:                 ## build wheel and sdist into dist/ and try them outside the checkout
	$(PYTHON) packaging/check_release.py

# What the core brings; for an environment of yours: cyclonedx-py environment PATH_TO_ITS_PYTHON
sbom:                          ## list all that an installation of the core holds in build/sbom.json
	rm -rf build/sbom && mkdir -p build/sbom
	$(PYTHON) -m venv build/sbom/core
	build/sbom/core/bin/python -m pip install --quiet --constraint constraints.txt .
	$(PYTHON) -m venv build/sbom/tool
	build/sbom/tool/bin/python -m pip install --quiet "cyclonedx-bom>=4,<8"
	build/sbom/tool/bin/cyclonedx-py environment --of JSON -o build/sbom.json \
		build/sbom/core/bin/python
	rm -rf build/sbom

licences: setup                ## make the table in docs/licences.md again
	$(BIN)/python packaging/licences.py

# Readers of files by atheris (Linux), films in processes with limits; finds are kept as tests.
SECONDS ?= 600
fuzz: setup                    ## fuzz every reader of outside data; SECONDS=3600 says how long
	$(PIP) atheris
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m hostile.fuzz --seconds $(SECONDS)

# Look at the difference before you commit it.
goldens: setup                 ## renew what the sample clips must give (tests/golden)
	rm -rf build/goldens
	$(BIN)/avaffect predict sample_media/*.mp4 sample_media/*.mov -o build/goldens \
		--missing invalid --no-report || test -d build/goldens/tables
	cd tests && ../$(BIN)/python -m golden.figures --renew ../build/goldens
	rm -rf build/goldens

versions:                      ## try the oldest and newest versions of what the core stands on
	$(PYTHON) packaging/versions.py

mutants: setup                 ## change the code a little, and see whether the tests notice
	$(PIP) cosmic-ray
	$(BIN)/python packaging/mutants.py

light: $(VENV)/.light          ## set up what predicting needs (0.7 GB)

setup: $(VENV)/.ready          ## set up everything

$(VENV)/.light: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable ".[dev,docs]"
	$(BIN)/python -c "import cv2" 2>/dev/null || \
		$(PIP) --no-deps --force-reinstall $(HEADLESS)
	touch $(VENV)/.light $@

clean:                         ## remove all that the other targets made
	rm -rf $(VENV) demo_out build site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
