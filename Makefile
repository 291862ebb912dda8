# What is done here often. Each target installs what it needs and is missing (Debian and its kin).

TARGET := $(or $(CARGO_TARGET_DIR),target)
HDP := $(TARGET)/release/hdp

# What cargo needs beside Rust: a linker, libpcap for filters and live capture.
BUILD := gcc:cc libc6-dev pkg-config:pkg-config libpcap-dev
# What tests compare with, and what they make networks of.
NETWORK := iproute2:ip nftables:nft tcpdump:tcpdump iputils-ping:ping procps:sysctl traceroute:traceroute
# Wireshark has Lua 5.2 up to 4.2, and 5.4 from 4.4 on.
LUA := lua-check:luacheck lua5.2:luac5.2 lua5.4:luac5.4

FIXTURE := fixtures/three-points

.PHONY: help demo build test test-library test-browser test-spark test-speed test-damage test-dissector fuzz sweep trace-lab lint bench record install uninstall deb package test-install install-dissector

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 26

demo: ## build what reads files, in a minute, and ask it about real captures from three points of a path
	@.ci/install gcc:cc libc6-dev
	cargo build --profile demo --locked --no-default-features --features cli
	@echo
	$(TARGET)/demo/hdp path $(addprefix $(FIXTURE)/,client.pcap router.pcap server.pcap)

build: ## the whole hdp, at its full speed: target/release/hdp
	@.ci/install $(BUILD)
	cargo build --release --locked

# Many tests wait for what hosts do: more of them at once than there are processors.
THREADS := $(or $(RUST_TEST_THREADS),8)
test: ## all tests
	@.ci/install $(BUILD) $(NETWORK) tshark:tshark jq:jq tmux:tmux
	RUST_TEST_THREADS=$(THREADS) cargo test --locked --all-targets
	cargo test --locked --doc

test-library: ## the library alone, without the program and without any system library
	@.ci/install $(BUILD)
	cargo test --locked --no-default-features

test-browser: ## the HTML report of every fixture in a real browser, which installs one (Chromium)
	@.ci/install $(BUILD) chromium:chromium
	HDP_BROWSER=chromium cargo test --locked --test all html::a_browser

test-spark: ## a campaign of 1,000 paths, asked by DuckDB, pandas and Spark, which it installs
	@.ci/install $(BUILD) python3-venv openjdk-17-jre-headless:java
	cargo build --locked --profile test --bin hdp --example campaign
	.ci/test-spark

test-speed: ## the instructions that a frame costs, against those in .ci/speed.json
	@.ci/install $(BUILD) python3:python3 valgrind:valgrind
	.ci/check-speed

test-damage: ## every cut of every fixture and every wrong byte in the headers of ten (half an hour)
	@.ci/install $(BUILD)
	HDP_DAMAGE=all cargo test --locked --release --test all damaged:: -- --nocapture

test-dissector: ## a million generated packets, read by dissector.lua and by hdp dissect
	@.ci/install $(BUILD) tshark:tshark
	HDP_DISSECTED=$(or $(HDP_DISSECTED),1000000) cargo test --locked --test all wireshark::it_reads_generated

# Nothing here is unsafe, so no sanitizer is asked for: overflows and failed assertions end a run.
FUZZ_SECONDS := $(or $(FUZZ_SECONDS),60)
FUZZ_TARGETS := source frames captures scenes quotes logs annotate anonymize texts
fuzz: ## each fuzz target for FUZZ_SECONDS=60, from the corpus in fuzz/corpus; installs nightly Rust and cargo-fuzz
	@.ci/install $(BUILD)
	@command -v rustup >/dev/null || { echo "make fuzz: skipped, there is no rustup to install nightly Rust with"; exit 0; }; \
	.ci/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

trace-lab: ## 200 traces over eight real routers, a number dropped at each hop in turn, 200 of other trouble, 8,000 made-up paths
	@.ci/install $(BUILD) $(NETWORK)
	HDP_TRACE_RUNS=$(or $(HDP_TRACE_RUNS),200) cargo test --locked --test all trace::drops_planted
	HDP_TRACE_ROUNDS=$(or $(HDP_TRACE_ROUNDS),17) cargo test --locked --test all trace::
	TRACE_PATHS=$(or $(TRACE_PATHS),8000) cargo test --locked --release --lib no_path -- --nocapture

sweep: ## 2,000 made-up paths whose truth is known, and no verdict may contradict it
	@.ci/install $(BUILD)
	SWEEP_SCENARIOS=$(or $(SWEEP_SCENARIOS),2000) cargo test --locked --release --test sweep -- --nocapture

lint: ## formatting, clippy with and without libpcap, documentation, the dissector in both Luas
	@.ci/install $(BUILD) $(LUA)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features --features cli -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps
	luacheck --quiet --std lua52 dissector.lua
	luacheck --quiet --std lua54 dissector.lua
	luac5.2 -p dissector.lua
	luac5.4 -p dissector.lua

# Where things are installed: make install PREFIX=/usr DESTDIR=stage. A package puts the dissector where
# every user's Wireshark looks for it.
PREFIX := /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share

install: ## hdp with man pages, completions and the dissector (PREFIX=/usr/local, DESTDIR=)
	@test -x $(HDP) || { echo "make install: build it first: make build"; exit 1; }
	install -D -m 755 $(HDP) $(DESTDIR)$(PREFIX)/bin/hdp
	$(HDP) man --output $(SHARE)/man/man1
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(HDP) completions bash > $(SHARE)/bash-completion/completions/hdp
	$(HDP) completions zsh > $(SHARE)/zsh/site-functions/_hdp
	$(HDP) completions fish > $(SHARE)/fish/vendor_completions.d/hdp.fish
	install -D -m 644 dissector.lua $(SHARE)/hdp/dissector.lua

uninstall: ## removes what make install installed
	rm -f $(DESTDIR)$(PREFIX)/bin/hdp $(SHARE)/man/man1/hdp.1 $(SHARE)/man/man1/hdp-*.1 \
	  $(SHARE)/bash-completion/completions/hdp $(SHARE)/zsh/site-functions/_hdp \
	  $(SHARE)/fish/vendor_completions.d/hdp.fish $(SHARE)/hdp/dissector.lua

# Debian's zsh looks for a package's completions in a folder of its own.
DEB_STAGE := $(TARGET)/deb
deb: build ## a Debian package of all that make install installs, in target/debian
	$(MAKE) package

# The package of a program that was built: cargo-deb finds out what it depends on.
package:
	@.ci/install dpkg-dev:dpkg-shlibdeps
	command -v cargo-deb >/dev/null || cargo install cargo-deb --locked
	rm -rf $(DEB_STAGE)
	$(MAKE) install PREFIX=/usr DESTDIR=$(DEB_STAGE)
	cargo deb --no-build --no-strip --output $(TARGET)/debian/hdp.deb

test-install: ## make install and the Debian package, tried in folders of their own
	@.ci/install $(BUILD) man-db:man zsh:zsh bash-completion
	cargo build --locked --profile test
	.ci/test-install

# tshark knows where Wireshark looks for a user's own Lua scripts; without it, where it usually does.
install-dissector: ## dissector.lua where this user's Wireshark and tshark load it from
	@folder=$$(tshark -G folders 2>/dev/null | sed -n 's/^Personal Lua Plugins:[[:space:]]*//p'); \
	folder=$${folder:-$$HOME/.local/lib/wireshark/plugins}; \
	mkdir -p "$$folder" && cp dissector.lua "$$folder/hdp.lua" && echo "installed $$folder/hdp.lua"

bench: ## speed and memory on a million packets, beside cat and tcpdump
	@.ci/install $(BUILD) python3:python3 tcpdump:tcpdump
	benches/measure

record: build ## record the fixtures again, as root
	@.ci/install $(NETWORK) python3:python3 procps:sysctl wireshark-common:dumpcap
	$(if $(filter 0,$(shell id -u)),,sudo) fixtures/record --hdp $(HDP)
