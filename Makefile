# What is done here often. Each target installs what it needs and is missing (Debian and its kin).

TARGET := $(or $(CARGO_TARGET_DIR),target)
HDP := $(TARGET)/release/hdp

# What cargo needs beside Rust: a linker, a compiler for zstd, libpcap for filters and live capture.
BUILD := gcc:cc libc6-dev pkg-config:pkg-config libpcap-dev
# What tests compare with, and what they make networks of.
NETWORK := iproute2:ip nftables:nft tcpdump:tcpdump

FIXTURE := fixtures/three-points

.PHONY: help demo test sweep lint bench record

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## build hdp, and ask it about real captures from three points of a path
	@.ci/install $(BUILD)
	cargo build --release --locked
	@echo
	$(HDP) path $(addprefix $(FIXTURE)/,client.pcap router.pcap server.pcap)

test: ## all tests, and a build without any system library
	@.ci/install $(BUILD) $(NETWORK) tshark:tshark jq:jq
	cargo test --locked --all-targets
	cargo test --locked --doc
	cargo build --locked --no-default-features

sweep: ## 2,000 made-up paths whose truth is known, and no verdict may contradict it
	@.ci/install $(BUILD)
	SWEEP_SCENARIOS=$(or $(SWEEP_SCENARIOS),2000) cargo test --locked --release --test sweep -- --nocapture

lint: ## formatting, clippy with and without libpcap, documentation
	@.ci/install $(BUILD)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

bench: ## speed and memory on a million packets, beside cat and tcpdump
	@.ci/install $(BUILD) python3:python3 tcpdump:tcpdump
	benches/measure

record: ## record the fixtures again, as root
	@.ci/install $(BUILD) $(NETWORK) python3:python3 procps:sysctl wireshark-common:dumpcap
	cargo build --release --locked
	$(if $(filter 0,$(shell id -u)),,sudo) fixtures/record --hdp $(HDP)
