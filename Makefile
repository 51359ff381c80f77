# Two commands set everything up on a fresh machine (Debian, Python 3.11, make): `make demo` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    := demo-output
FUZZ   ?= 5000

.PHONY: demo test check static suite docs dist dist-check fuzz browser clean help

help:
	@echo "make demo    judge the three example videos and write their reports to $(OUT)/"
	@echo "make test    install everything and run every check"
	@echo "make docs    build the documentation as a site, site/index.html"
	@echo "make dist    build the wheel, dist/*.whl; make dist-check tries it in an empty environment"
	@echo "make fuzz    try many thousand spoilt inputs on every parser (FUZZ=5000 for each test)"
	@echo "make clean   remove what these made"

demo: $(VENV)/.core
	@mkdir -p $(OUT)
	$(BIN)/lrnet detect examples/real.mp4 examples/fake.mp4 examples/coarse-fake.mp4 --report $(OUT) --overlay $(OUT) --json $(OUT)/results.json
	@echo
	@echo "Open $(OUT)/coarse-fake.html, $(OUT)/fake.html and $(OUT)/real.html in a browser; $(OUT)/coarse-fake.mp4 shows landmarks and scores."

test: check

# Hundreds of processes import the package: compiled modules are kept, whatever the variable says elsewhere.
check: export PYTHONDONTWRITEBYTECODE =
check: $(VENV)/.all browser
	$(MAKE) --no-print-directory --jobs=2 static suite

static:
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

suite:
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

docs: $(VENV)/.all
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html in a browser."

dist: $(VENV)/bin/pip
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# An environment and a folder of its own, so that nothing is found in the repository.
dist-check: dist
	rm -rf build/dist-check && mkdir -p build/dist-check
	$(PYTHON) -m venv build/dist-check/venv
	build/dist-check/venv/bin/pip install --quiet -c constraints.txt dist/*.whl
	cp examples/real.mp4 build/dist-check/
	cd build/dist-check && venv/bin/lrnet models verify && venv/bin/lrnet serve --help >/dev/null \
	  && venv/bin/lrnet detect real.mp4 --json real.json --report real.html && test -s real.json && test -s real.html

# Other inputs every time. The suite tries a few of them, the same every time.
fuzz: $(VENV)/.all
	LRNET_FUZZ_EXAMPLES=$(FUZZ) $(BIN)/pytest tests/fuzz -p no:timeout

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "lrnet needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.all: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e '.[train,dev,service,postgres,dlib,benchmark,notebook,cluster,docs]'
	@touch $@ $(VENV)/.core

# The page is tested in Chromium: Debian's where we may install it, else Playwright's. Without either its tests are skipped.
browser: $(VENV)/.all
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || $(BIN)/playwright install chromium \
	  || echo "no Chromium could be installed: the tests of the page are skipped"

clean:
	rm -rf $(VENV) $(OUT) site dist build
