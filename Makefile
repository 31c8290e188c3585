# SPDX-License-Identifier: BSD-3-Clause
# The front door. Meson and ninja do the building underneath; the scripts do the rest.
#
# Every target does the set-up it needs. Set-up is stamped, so it happens once.

BUILDTYPE ?= debugoptimized
PREFIX    ?= /usr/local
DESTDIR   ?=
PYTHON    := /usr/bin/python3
ROOT      := $(CURDIR)
OUT       := build
# What touches namespaces, TAPs and the Debian root runs as root.
SUDO      := $(if $(filter 0,$(shell id -u)),,sudo)
LOCK      := mkdir -p $(OUT) && flock $(OUT)/.lock

.DEFAULT_GOAL := build
.PHONY: help packages setup build asan run test bench full install lint clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  Variables: BUILDTYPE=$(BUILDTYPE) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"

packages:
	@$(SUDO) sh scripts/packages.sh base

setup: packages ## Debian packages, QEMU, the guest's kernel and its vDPA parents
	@mkdir -p $(OUT)
	@$(SUDO) $(PYTHON) scripts/setup.py

build: packages ## build/vqnic and build/vqcert
	@$(LOCK) sh scripts/build.sh meson $(BUILDTYPE)

asan: packages
	@$(LOCK) sh scripts/build.sh asan debugoptimized -Db_sanitize=address,undefined

run: setup build ## certify the simulated NIC, in-process and under a real guest; iperf3 figures
	@$(SUDO) $(PYTHON) scripts/run.py

test: setup build asan ## everything that is tested on every change; ends with "N passed, N failed"
	@$(SUDO) $(PYTHON) scripts/test.py

bench: setup build ## iperf3 against QEMU's own NIC, packet rate, the suite's run time
	@$(SUDO) $(PYTHON) scripts/bench.py

full: setup build asan ## what takes longer than "make test" allows
	@$(SUDO) $(PYTHON) scripts/test.py --full

install: packages ## into $(DESTDIR)$(PREFIX)
	@$(LOCK) sh scripts/build.sh install $(BUILDTYPE) --prefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(OUT)/install --no-rebuild --quiet
	@echo "install: in $(DESTDIR)$(PREFIX)"

lint: packages ## formatters, static analysis and the rules of the house
	@$(SUDO) sh scripts/packages.sh lint
	@$(LOCK) sh scripts/build.sh meson $(BUILDTYPE)
	@$(PYTHON) scripts/lint.py

clean: ## remove what was built; keep the Debian root (remove build/root by "make clean ALL=1")
	@$(SUDO) $(PYTHON) scripts/setup.py --clean $(if $(ALL),--all)
