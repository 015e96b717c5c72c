# make app | lab | test | check | bench | conservation | growth | quality | prototypes | mutants | clean, from a clean clone: everything lands in ./.venv
#
#   PORT         where `make app` serves (8866)
#   PYTHON       the interpreter for ./.venv (else the first of python3, 3.13, 3.12, 3.11 that fits)
#   TORCH_INDEX  a package index to ask as well, for a machine without a GPU:
#                make app TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   TESTS        what `make test` runs (everything), and pytest's options
#   WORKERS      how many tests `make test` runs at a time (2)
#   BENCH        what `make bench` times: networks, or `short` (everything)
#   FAULTS       what `make mutants` puts in: words of their names or places (everything)

PORT ?= 8866
PYTHON ?=
TORCH_INDEX ?=
TESTS ?=
WORKERS ?= 2

FONTS := fonts-dejavu-core fonts-liberation
BENCH ?=
FAULTS ?=

BIN := .venv/bin
# Python compiles what it imports; all of it would be a minute for modules that nobody imports.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# The editable install copies the page's template; everything else is read where it lies.
INSTALLED := pyproject.toml constraints.txt $(wildcard lrp_widgets/apps/serving/voila_template/*)

# $(call apt,PACKAGE): install a Debian package, as root or through sudo where it asks for no password.
apt = { \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	command -v apt-get >/dev/null && $$as_root apt-get update && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(1); }

.PHONY: app lab test check bench conservation growth quality prototypes mutants browser clean
.DELETE_ON_ERROR:

app: .venv/ready-app
	@exec $(BIN)/python -m lrp_widgets --port $(PORT) --no-browser explore

lab: .venv/ready-app
	@exec $(BIN)/jupyter lab notebooks $$([ "$$(id -u)" != 0 ] || echo --allow-root)

test: .venv/ready-test browser
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: .venv/ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	@if command -v npx >/dev/null; then set -x; \
		npx -y -p typescript@5 tsc --noEmit -p lrp_widgets/widgets/static/jsconfig.json; \
	else echo "There is no npx here: the types of the JavaScript were not checked."; fi

bench: .venv/ready-test
	@$(BIN)/python benchmarks/speed.py $(BENCH)

conservation: .venv/ready-test
	@$(BIN)/python benchmarks/conservation.py

growth: .venv/ready-test
	@$(BIN)/python benchmarks/growth.py

quality: .venv/ready-test
	@LRP_WIDGETS_REPORT=$(CURDIR)/docs/paper_quality.md $(BIN)/jupyter execute notebooks/paper_quality.ipynb

prototypes: .venv/ready-test
	@$(BIN)/python benchmarks/prototypes.py

mutants: .venv/ready-test
	@$(BIN)/python -u -m mutants $(FAULTS)

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis test-results

.venv/ready-app: $(INSTALLED) | .venv/bin/python
	$(PIP_INSTALL) -e .
	@touch $@

.venv/ready-test: $(INSTALLED) | .venv/bin/python
	$(PIP_INSTALL) -e '.[test,peers,dev,distributed,pandas]'
	@touch $@ .venv/ready-app

# Debian's python3 comes without venv's half of the standard library.
.venv/bin/python:
	@python=; for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
			python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "make: lrp_widgets needs Python 3.11, 3.12 or 3.13, and none is on the path." >&2; \
		echo "make: name one with make PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip' 2>/dev/null; then \
		package=$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		$(call apt,$$package) || { \
			echo "make: $$python cannot make a virtual environment. On Debian: apt install $$package" >&2; exit 1; }; fi; \
	set -x; $$python -m venv .venv

# The browser tests drive Chromium or Chrome: the one that is installed, else Debian's, else Playwright's own. They look
# at the layout in two fonts; where these cannot be installed, the tests that need them say so.
browser: .venv/ready-test
	@command -v chromium || command -v google-chrome || command -v google-chrome-stable \
		|| $(call apt,chromium) || $(BIN)/playwright install chromium
	@[ "$$(uname)" != Linux ] || [ $$(find -L /usr/share/fonts /usr/local/share/fonts \( -name DejaVuSans.ttf \
		-o -name LiberationSans-Regular.ttf \) 2>/dev/null | wc -l) -ge 2 ] || $(call apt,$(FONTS)) \
		|| echo "make: no $(FONTS) here: the tests of the layout in these fonts are left out." >&2
