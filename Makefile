# make demo | make test | make install | make docs : see README.md
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SHARED ?= ../shared

.PHONY: install demo test lint types contracts pages docs pictures evidence unit tools lock audit sbom dist oldest fuzz clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); } || { \
	  echo "Python's venv module is missing: install Debian's python3-venv."; exit 2; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[research,pretrained,dask,parquet,web,docs,dev]'
	@touch $(STAMP)

demo: install
	$(BIN)/myoperf demo -o demo-report --overwrite

# The peers that tests compare with (dciodvfy, dcmtk, R's pROC, poppler) and the browser that they use. Installed where we may.
tools:
	@command -v dciodvfy >/dev/null && command -v chromedriver >/dev/null && command -v dsrdump >/dev/null && command -v pdftoppm >/dev/null && command -v Orthanc >/dev/null \
	  && Rscript -e 'library(pROC)' >/dev/null 2>&1 || { \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
	    dicom3tools dcmtk poppler-utils r-base-core r-cran-proc chromium chromium-driver orthanc >/dev/null; } || { \
	  echo "Tests need Debian's dicom3tools dcmtk poppler-utils r-cran-proc chromium chromium-driver orthanc: install them."; exit 2; }

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

pages: install
	$(BIN)/python docs/pages.py --check

# The manual, in site/: strict, so that a broken link, a page that the navigation lacks or a script from the network fails.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The pictures of docs/concepts, of the patient of `make demo`.
pictures: demo
	$(BIN)/python docs/pictures.py demo-report

# Every result that was measured on other code than today's, made anew, one after the other; goes on where it stopped. Takes days.
# Results that need real studies, a GPU or a quiet machine run only by name: python docs/evidence.py run NAME
evidence: install
	$(BIN)/python docs/evidence.py run

contracts: install
	$(BIN)/lint-imports

# A file's tests stay in one process, so that what they share is made once; long files begin (tests/conftest.py), so that no
# process waits for another at the end; each process computes on one core.
unit: install tools
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# 10,000 damaged inputs read and 200 analysed; some of them are read by the tests.
fuzz: install
	PYTHONPATH=tests $(BIN)/python benchmarks/fuzz.py
	$(BIN)/python docs/pages.py fuzz

test: install tools
	$(MAKE) --no-print-directory -j 2 lint types contracts pages docs unit

# What is locked: every distribution that constraints.txt pins, with the hashes of its files on PyPI.
#   pip install --require-hashes -r requirements.lock && pip install --no-deps -e .
AUDIT := $(VENV)-audit

$(AUDIT)/bin/uv:
	@$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9 pip-audit==2.10.1 cyclonedx-bom==7.5.0 build==1.6.1

lock: $(AUDIT)/bin/uv
	$(AUDIT)/bin/uv pip compile pyproject.toml --extra research --extra pretrained --extra dask --extra parquet --extra web --extra docs --extra dev -c constraints.txt \
	  --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" -q -o requirements.lock

# Compares what is locked with known vulnerabilities; needs PyPI's advisories, and fails without them.
audit: $(AUDIT)/bin/uv
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock --progress-spinner off

# What the environment holds, with versions and licences (CycloneDX). It does not know MyoPerf's own version, which is not in
# pyproject.toml but in src/myoperf/version.py.
sbom: install $(AUDIT)/bin/uv
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml $(BIN)/python -o dist/sbom.cdx.json
	$(BIN)/python -c 'import json, sys; from myoperf.version import __version__ as version; bom = json.load(open(sys.argv[1])); \
	  bom["metadata"]["component"]["version"] = version; json.dump(bom, open(sys.argv[1], "w"), indent=2)' dist/sbom.cdx.json

# The wheel and the source distribution.
dist: $(AUDIT)/bin/uv
	$(AUDIT)/bin/python -m build --outdir dist .

# The oldest dependencies that pyproject.toml allows (constraints-oldest.txt; PyTorch is the tested one, as the oldest
# has no small wheel), with the tests that meet most of them. Old libraries warn of themselves, which fails nothing here.
OLDEST := $(VENV)-oldest

oldest:
	@$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(OLDEST)/bin/python -m pip install -q --disable-pip-version-check -c constraints-oldest.txt '.[web]' pytest pytest-timeout pytest-randomly hypothesis simpleitk
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -o filterwarnings=default $(OLDEST_TESTS)

OLDEST_TESTS := tests/test_geometry.py tests/test_types.py tests/perfusion tests/polar tests/recon tests/flow tests/phantom/test_independent.py tests/cli/test_main.py tests/cli/test_help.py

clean:
	rm -rf $(VENV) $(AUDIT) $(OLDEST) demo-report site dist
