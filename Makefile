# Every target sets up what it needs: a .venv beside this file (uv when it is there, else venv and pip).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
FUZZ_SECONDS ?= 600
SERVER_PACKAGES := dovecot-imapd dovecot-pop3d postfix strace

.DEFAULT_GOAL := help
.PHONY: help demo test crash check format docs bench bench-fetch bench-turns bench-pop3 bench-many bench-memory bench-store fuzz servers clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "mailrouting needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
ifdef UV
	@$(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
endif
	@touch $@

$(VENV)/.cli: $(VENV)/.made pyproject.toml
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python --editable '.[cli]'
else
	@$(BIN)/python -m pip install --quiet --editable '.[cli]'
endif
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python --editable '.[cli,testing,html,charset,tnef,bounce]' --group dev
else
	@$(BIN)/python -m pip install --quiet --editable '.[cli,testing,html,charset,tnef,bounce]' --group dev
endif
	@touch $@ $(VENV)/.cli

$(VENV)/.bench: $(VENV)/.cli
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python --group bench
else
	@$(BIN)/python -m pip install --quiet --group bench
endif
	@touch $@

# On demand only: a native engine that no other target needs.
$(VENV)/.fuzz: $(VENV)/.cli
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python atheris
else
	@$(BIN)/python -m pip install --quiet atheris
endif
	@touch $@

demo: $(VENV)/.cli ## a mailbox becomes tickets, and each says where its answer leaves from
	@$(BIN)/mailrouting demo

# Two halves at once, for a machine has two cores at least; what the one beside said is shown last.
TEST = MAILROUTING_UNTESTED=$(VENV)/.untested $(BIN)/coverage run -m pytest
BESIDE := tests/cli tests/contract tests/crash tests/wire

test: $(VENV)/.dev ## every test; as root, `make servers` first
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory servers; fi
	@rm -f $(VENV)/.untested
	@$(BIN)/coverage erase
	@$(TEST) $(BESIDE) > $(VENV)/.beside.log 2>&1 & beside=$$!; trap 'kill $$beside' INT TERM; \
	  $(TEST) $(addprefix --ignore=,$(BESIDE)); status=$$?; \
	  wait $$beside || status=1; cat $(VENV)/.beside.log; exit $$status
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@if [ -s $(VENV)/.untested ]; then sort -u $(VENV)/.untested; fi

crash: $(VENV)/.dev ## kill a run at every step, thousands of times; as root, it installs servers first
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory servers; fi
	@MAILROUTING_CRASH=long MAILROUTING_REQUIRE_SERVERS=1 $(BIN)/python -m pytest -q --durations=0 \
	  tests/crash

check: $(VENV)/.dev ## style, types, floors, spelling, dependencies, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=src:typings $(BIN)/pyright --pythonpath $(BIN)/python --verifytypes mailrouting --ignoreexternal
	$(BIN)/codespell
	$(BIN)/deptry src
	$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning docs docs/_build

format: $(VENV)/.dev ## bring the code into shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## build the documentation into docs/_build
	$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning docs docs/_build
	@echo "open docs/_build/index.html"

bench: $(VENV)/.bench ## read generated mail beside the stdlib and imap-tools; print the ratios
	@$(BIN)/python bench/bench_read.py

bench-turns: $(VENV)/.bench ## count the round trips of a fetch over TLS at 50 ms, and weigh an idle poll
	@$(BIN)/python bench/bench_turns.py

bench-memory: $(VENV)/.bench ## weigh a poll of 10,000 mails, and one of large mails
	@$(BIN)/python bench/bench_memory.py

bench-fetch: $(VENV)/.bench ## fetch from a local Dovecot beside imap-tools and django-helpdesk; print the ratios
	@$(BIN)/python bench/bench_fetch.py

bench-pop3: $(VENV)/.bench ## fetch by POP3 over a slow line beside poplib; count the turns
	@$(BIN)/python bench/bench_pop3.py

bench-many: $(VENV)/.bench ## run 200 mailboxes over TLS at 50 ms beside a raw client; sweep 1,000 idle ones
	@$(BIN)/python bench/bench_many.py

bench-store: $(VENV)/.dev ## time the SQLite store beside bare sqlite3, on tmpfs and on disk
	@$(BIN)/python bench/bench_store.py

fuzz: $(VENV)/.fuzz ## search FUZZ_SECONDS (600) for a mail that breaks the reader
	@mkdir -p .fuzz/corpus
	@$(BIN)/python fuzz/fuzz_read.py -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=60 \
	  -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=.fuzz/ .fuzz/corpus fuzz/seeds

servers: ## install the Debian packages of the servers that tests want (root)
	@missing=$$(for name in $(SERVER_PACKAGES); do \
	    dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	    echo "No apt-get here: install yourself: $$missing" >&2; exit 1; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "Run as root: make servers" >&2; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null

clean: ## remove everything that is made
	rm -rf $(VENV) build dist docs/_build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .fuzz
