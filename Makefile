# Everything runs in a virtual environment of its own, .venv, which the first target that needs it makes.
#
#   make run     start the server on SQLite in ./var, and say what to do next
#   make test    install what the tests can use, and run them
#   make lint    ruff, mypy, import-linter
#   make bench   measure this server beside OpenSSH's and others; BENCH_ARGS=--help says how
#   make docs    the documentation as a site in docs/_build
#   make screenshots   take the pictures of the web admin in docs/screenshots/ anew; needs chromium
#   make generated   write the sample configurations, manual pages and completions in etc/ anew
#   make clean   remove all of that

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNNABLE := $(VENV)/.runnable
STAMP := $(VENV)/.installed
TEST_JOBS ?= 2

# Programs the tests talk to.  Where they cannot be installed, the tests that need them are skipped and say so.
TEST_PROGRAMS := openssh-client openssh-server openssh-tests putty-tools git rsync lftp sshfs curl openssl postgresql mariadb-server \
	chromium chromium-driver systemd fail2ban prometheus logrotate nginx-light haproxy apache2-bin man-db zsh fish rclone

.PHONY: run test lint bench docs screenshots generated format clean programs venv

venv: $(STAMP)

# What the server needs, and nothing else: a first start should not wait for the tools of the tests.
$(RUNNABLE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/install-packages python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(STAMP): $(RUNNABLE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(RUNNABLE)
	@mkdir -p var
	@test -e var/sftpgo.json || cp etc/sftpgo.json var/sftpgo.json
	@exec $(BIN)/sftpgo serve --config-dir var --log-file-path var/sftpgo.log

programs:
	@scripts/install-packages $(TEST_PROGRAMS) || true

test: $(STAMP) programs
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests -j $(TEST_JOBS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m sftpgo.reference --check

bench: $(STAMP)
	@scripts/install-packages openssh-client openssh-server || true
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(STAMP)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo "docs/_build/index.html"

screenshots: $(STAMP)
	@$(BIN)/python -m tests.web.screenshots docs/screenshots

generated: $(STAMP)
	$(BIN)/python -m sftpgo.reference

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) var _trial_temp* .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build docs/_build .trial-result
	find . -name __pycache__ -prune -exec rm -rf {} +
