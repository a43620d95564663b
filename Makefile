# make demo | make test | make install : see README.md
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SHARED ?= ../shared

.PHONY: install demo test lint types contracts pages unit tools lock audit fuzz clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); } || { \
	  echo "Python's venv module is missing: install Debian's python3-venv."; exit 2; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[research,pretrained,dask,parquet,web,dev]'
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
	$(MAKE) --no-print-directory -j 2 lint types contracts pages unit

# What is locked: every distribution that constraints.txt pins, with the hashes of its files on PyPI.
#   pip install --require-hashes -r requirements.lock && pip install --no-deps -e .
AUDIT := $(VENV)-audit

$(AUDIT)/bin/uv:
	@$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9 pip-audit==2.10.1

lock: $(AUDIT)/bin/uv
	$(AUDIT)/bin/uv pip compile pyproject.toml --extra research --extra pretrained --extra dask --extra parquet --extra web --extra dev -c constraints.txt \
	  --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" -q -o requirements.lock

# Compares what is locked with known vulnerabilities; needs PyPI's advisories, and fails without them.
audit: $(AUDIT)/bin/uv
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock --progress-spinner off

clean:
	rm -rf $(VENV) $(AUDIT) demo-report
