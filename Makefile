# The only runner: each target makes its own virtual environment under .venv/ and installs what it needs.
# Needed on the machine: make, Rust (cargo) and CPython 3.9 or later. Another interpreter: make test PYTHON=python3.13

PYTHON ?= python3
SEED ?= 1
ARGS ?=

TAG := $(shell $(PYTHON) -c 'import sys; assert sys.version_info >= (3, 9); print("py%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(TAG),)
$(error PYTHON=$(PYTHON) is not a CPython 3.9 or later)
endif

# With PGO=1 the wheel as it is released, optimised by a profile of benches/training.py; that takes three minutes.
# It is also what the benchmarks time. In an environment of its own, for the instruction counts are of the plain one.
ifneq ($(PGO)$(filter wheel profdata bench faces plots,$(MAKECMDGOALS)),)
override TAG := $(TAG)-pgo
LLVM := $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
PROFDATA := /usr/lib/llvm-$(LLVM)/bin/llvm-profdata
export MATURIN_PGO := 1
export PATH := $(abspath target/llvm):$(PATH)
endif

VENV := .venv/$(TAG)
DEMO_VENV := .venv/$(TAG)-demo
LEGACY_VENV := $(VENV)-legacy
NEWER_VENV := $(VENV)-newer
PY := $(VENV)/bin/python
WHEELS := target/wheels/$(TAG)
SOURCES := $(shell find src python -type f -not -name '*.pyc') Cargo.toml $(wildcard Cargo.lock) pyproject.toml

# The newest Django wants 3.12. Where PYTHON is older, what else the machine has is tried; pyenv's shims may not run.
NEWER := $(shell $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))' && \
	for each in python3.14 python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.1[2-4].*/bin/python); do \
		$$each -c 'import sys; assert sys.version_info >= (3, 12)' 2>/dev/null && echo $$each && break; done)
NEWER_DONE := $(if $(NEWER),$(NEWER_VENV)/installed.done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# cargo has to see the same interpreter in every target, or it compiles pyo3 anew each time.
export PYO3_PYTHON := $(abspath $(PY))

.DEFAULT_GOAL := help
.PHONY: help demo djangoshop flaskshop test screenshots servers wheel profdata bench faces core plots instructions valgrind asan memcheck lint docs fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(WHEELS)/built.done ## build, install into a fresh environment, read old sessions, refuse an attack
	@rm -rf $(DEMO_VENV)
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/python -m pip install --quiet --no-index --no-deps $(WHEELS)/*.whl
	@$(DEMO_VENV)/bin/python examples/demo.py $(ARGS)

djangoshop: $(VENV)/installed.done ## serve the Django shop of examples/; ARGS=--legacy as it was, with pickle
	@$(PY) -m examples.django_shop $(ARGS)

flaskshop: $(VENV)/installed.done ## serve the Flask shop; ARGS="cookie" or "flask-session", and --legacy
	@$(PY) -m examples.flask_shop $(ARGS)

test: $(VENV)/installed.done $(LEGACY_VENV)/installed.done $(VENV)/flask-session.done $(VENV)/old-django.done $(VENV)/upstream.done $(NEWER_DONE) servers ## all tests, the Python ones against the installed wheel; pytest's options in ARGS
	cargo test --no-default-features
	$(PY) -m mypy --config-file= --strict tests/typed.py
	$(PY) -m mypy.stubtest plainpickle._core
	$(PY) -m pytest $(ARGS)

screenshots: $(VENV)/installed.done servers ## take the pictures in docs/images/ anew
	SCREENSHOTS=docs/images $(PY) -m pytest tests/browser $(ARGS)

servers: ## on Debian and as root, install what servers and browser the tests miss; elsewhere those tests are skipped
	@missing=$$(for each in redis-server memcached chromium chromedriver; do \
		command -v $$each >/dev/null || echo $$each | sed s/chromedriver/chromium-driver/; done); \
	if [ -n "$$missing" ] && [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
		apt-get update --quiet=2 </dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends $$missing </dev/null; \
	fi

wheel: $(WHEELS)/built.done ## build the wheel that is released, into target/wheels
	@ls $(WHEELS)/*.whl

# Debian's doesn't know --version, by which maturin looks whether there is one.
profdata: ## on Debian and as root, install the reader of Rust's profiles where rustup's llvm-tools is missing
	@if ! [ -x "$$(rustc --print sysroot)/lib/rustlib/$(HOST)/bin/llvm-profdata" ] && [ -f /etc/debian_version ]; then \
		if ! [ -x $(PROFDATA) ] && [ "$$(id -u)" = 0 ]; then apt-get update --quiet=2 </dev/null && \
			DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends llvm-$(LLVM) </dev/null; fi; \
		if [ -x $(PROFDATA) ]; then mkdir -p target/llvm && cd target/llvm && \
			printf '#!/bin/sh\n[ "$$1" = --version ] || exec $(PROFDATA) "$$@"\n' >llvm-profdata && chmod +x llvm-profdata; fi; \
	fi

bench: $(VENV)/floor.done ## compare safe_loads with pickle.loads and others; options of benches/loads.py in ARGS
	$(PY) -m benches.loads $(ARGS)

faces: $(VENV)/floor.done ## the same for everything but safe_loads: files, writing, inspecting, JSON, import, memory
	$(PY) -m benches.faces $(ARGS)

plots: $(VENV)/floor.done ## measure all of both and draw it into benches/results/; wants an idle machine
	$(PY) -m benches.plots $(ARGS)

core: ## time the core without an interpreter; criterion's options in ARGS
	cargo bench --no-default-features --bench core $(ARGS)

instructions: $(VENV)/installed.done valgrind ## check that the instruction counts are within 3 % of the stored ones; ARGS=--update stores
	$(PY) -m benches.instructions $(ARGS)

valgrind: ## on Debian and as root, install valgrind where it is missing
	@if ! command -v valgrind >/dev/null && [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
		apt-get update --quiet=2 </dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends valgrind libc6-dbg </dev/null; \
	fi

asan: $(VENV)/test.done ## the tests that reach unsafe code, under AddressSanitizer; wants Rust's nightly toolchain and gcc
	@if cargo +nightly --version >/dev/null 2>&1 && [ -f "$(LIBASAN)" ]; then $(MAKE) target/asan/passed; \
	else echo "SKIPPED: no nightly toolchain, or no libasan of gcc"; [ -z "$$CI" ]; fi

memcheck: $(VENV)/test.done valgrind ## the tests that reach unsafe code, under valgrind
	@if command -v valgrind >/dev/null; then $(MAKE) target/memcheck/passed; \
	else echo "SKIPPED: no valgrind"; [ -z "$$CI" ]; fi

lint: $(VENV)/lint.done ## formatting and static checks of Python and Rust
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings
	cargo fmt --manifest-path benches/floor/Cargo.toml --check
	cargo clippy --manifest-path benches/floor/Cargo.toml --target-dir target -- -D warnings

docs: ## check every link and every `make` command in the documentation
	$(PYTHON) docs/check.py

fuzz: $(VENV)/installed.done ## the long differential run against CPython's pickle; SEED=n for another one
	$(PY) -m tests.differential.fuzz --graphs 200000 --mutants 200000 --seed $(SEED) $(ARGS)

clean: ## remove everything that was built
	rm -rf .venv target .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Code of the tests' own process is what they look at, so nothing that measures or starts others.
MEMORY_TESTS := $(wildcard tests/test_ffi.py) $(addprefix tests/,test_safe_loads.py test_session.py \
	test_framework_values.py test_corpus.py session_format/test_golden.py) \
	$(addprefix --deselect=tests/test_session.py::,test_it_is_free_to_construct_as_django_does_for_each_session \
	test_ten_thousand_bad_keys_take_linear_time_and_few_lines_of_log)
LIBASAN = $(shell gcc -print-file-name=libasan.so 2>/dev/null)
MEMCHECK = valgrind --quiet --error-exitcode=1
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# Line numbers in what is found, and no wait for the last bit of speed.
CHECKED_BUILD = CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_TEST_OPT_LEVEL=1
CHECKED_WHEEL = $(VENV)/bin/maturin build --interpreter $(PY) --strip false --auditwheel skip --target $(HOST)

.PHONY: target/asan/passed target/memcheck/passed

target/asan/passed: export RUSTUP_TOOLCHAIN := nightly
target/asan/passed: export RUSTFLAGS := -Zsanitizer=address
target/asan/passed:
	@rm -rf target/asan/site target/asan/wheel
	$(CHECKED_BUILD) cargo test --no-default-features --lib --tests --target $(HOST) --target-dir target/asan
	$(CHECKED_BUILD) $(CHECKED_WHEEL) --target-dir target/asan --out target/asan/wheel
	$(PY) -m pip install --quiet --no-index --no-deps --target target/asan/site target/asan/wheel/*.whl
	@grep -q __asan_init target/asan/site/plainpickle/_core*.so # or nothing would be looked at
	LD_PRELOAD=$(LIBASAN) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=target/asan/site \
		$(PY) -m pytest -p no:cacheprovider $(MEMORY_TESTS) tests/test_pickle_face.py $(ARGS)

target/memcheck/passed:
	@rm -rf target/memcheck/site target/memcheck/wheel
	$(CHECKED_BUILD) cargo test --no-default-features --lib --tests --target $(HOST) --target-dir target/memcheck \
		--config "target.$(HOST).runner = '$(MEMCHECK)'"
	$(CHECKED_BUILD) $(CHECKED_WHEEL) --target-dir target/memcheck --out target/memcheck/wheel
	$(PY) -m pip install --quiet --no-index --no-deps --target target/memcheck/site target/memcheck/wheel/*.whl
	@# Some builds of CPython read digits of an int that has none; then only addresses can be checked.
	values=yes; PYTHONMALLOC=malloc $(MEMCHECK) $(PY) -c pass 2>/dev/null || { values=no; \
		echo "NOT CHECKED: uninitialised values, of which this Python has some itself"; }; \
	PYTHONMALLOC=malloc PYTHONPATH=target/memcheck/site $(MEMCHECK) --undef-value-errors=$$values \
		$(PY) -m pytest -p no:cacheprovider $(MEMORY_TESTS) $(ARGS)

$(VENV)/build.done: requirements/build.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r $<
	@touch $@

$(VENV)/test.done: requirements/test.txt $(VENV)/build.done
	$(PY) -m pip install --quiet -r $<
	@touch $@

$(VENV)/lint.done: requirements/lint.txt $(VENV)/test.done
	$(PY) -m pip install --quiet -r $<
	@touch $@

$(WHEELS)/built.done: $(VENV)/build.done $(SOURCES) $(if $(MATURIN_PGO),benches/training.py benches/workloads.py | profdata)
	@rm -rf $(WHEELS)
	$(VENV)/bin/maturin build --release --interpreter $(PY) --out $(WHEELS)
	@touch $@

$(VENV)/installed.done: $(WHEELS)/built.done $(VENV)/test.done
	$(PY) -m pip install --quiet --no-index --no-deps --force-reinstall $(WHEELS)/*.whl
	@touch $@

# Each line goes into a folder of its own, named by the version of its first package.
$(VENV)/flask-session.done $(VENV)/old-django.done: $(VENV)/%.done: requirements/%.txt $(VENV)/build.done
	@rm -rf $(VENV)/$*
	@sed -n 's/ *#.*//; s/^[^ =]*==\([^ ]*\)/\1 &/p' $< | while read -r version packages; do \
		$(PY) -m pip install --quiet --no-deps --target $(VENV)/$*/$$version $$packages || exit 1; \
	done
	@touch $@

# Source distributions, since those have the tests; nothing of them is installed.
$(VENV)/upstream.done: requirements/upstream.txt $(VENV)/build.done
	@rm -rf $(VENV)/upstream
	@sed 's/ *#.*//; /^$$/d' $< | tr '\n' '\0' | xargs -0 -P 2 -I {} $(PY) -m pip download --quiet --no-deps --no-binary :all: \
		--ignore-requires-python --dest $(VENV)/upstream {}
	@cd $(VENV)/upstream && for each in *.tar.gz; do tar xzf $$each --exclude "*/docs" --exclude "*/locale/[!e_]*" && rm $$each || exit 1; done
	@touch $@

$(NEWER_VENV)/test.done: requirements/newer.txt
	$(NEWER) -m venv $(NEWER_VENV)
	$(NEWER_VENV)/bin/python -m pip install --quiet -r $<
	@touch $@

# Not optimised, and without a profile, since that takes minutes. PYO3_PYTHON has to be this one here.
$(NEWER_VENV)/installed.done: export MATURIN_PGO :=
$(NEWER_VENV)/installed.done: export PYO3_PYTHON := $(abspath $(NEWER_VENV)/bin/python)
$(NEWER_VENV)/installed.done: $(NEWER_VENV)/test.done $(VENV)/build.done $(SOURCES)
	@rm -rf $(NEWER_VENV)/wheel
	CARGO_PROFILE_DEV_DEBUG=0 $(VENV)/bin/maturin build --interpreter $(NEWER_VENV)/bin/python --target-dir target/newer --out $(NEWER_VENV)/wheel
	$(NEWER_VENV)/bin/python -m pip install --quiet --no-index --no-deps --force-reinstall $(NEWER_VENV)/wheel/*.whl
	@touch $@

$(VENV)/floor.done: requirements/bench.txt $(VENV)/installed.done $(shell find benches/floor -type f)
	$(PY) -m pip install --quiet -r $<
	@rm -rf $(WHEELS)/floor
	$(VENV)/bin/maturin build --release --manifest-path benches/floor/Cargo.toml --interpreter $(PY) --target-dir target --out $(WHEELS)/floor
	$(PY) -m pip install --quiet --no-index --no-deps --force-reinstall $(WHEELS)/floor/*.whl
	@touch $@

$(LEGACY_VENV)/test.done: requirements/legacy.txt
	$(PYTHON) -m venv $(LEGACY_VENV)
	$(LEGACY_VENV)/bin/python -m pip install --quiet --use-pep517 -r $<
	@touch $@

$(LEGACY_VENV)/installed.done: $(WHEELS)/built.done $(LEGACY_VENV)/test.done
	$(LEGACY_VENV)/bin/python -m pip install --quiet --no-index --no-deps --force-reinstall $(WHEELS)/*.whl
	@touch $@
