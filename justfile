# The daily commands. `just` alone lists them.

[private]
default:
    @just --list --unsorted

# format, lints, documentation and the arrows, all as errors
check:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
    cargo run -q --locked -p xtask -- deps

# the whole suite, offline
test *ARGS:
    cargo test --workspace --locked {{ ARGS }}

# the deterministic world alone, optimised, so that more seeds fit in a minute
sim *ARGS:
    cargo test --release --locked -p riverrun-sim {{ ARGS }}

# one scenario of the world with one seed, or with several from it on: just sim-replay hostile 7; --trace prints every event
sim-replay SCENARIO SEED COUNT="1" *OPTIONS:
    cargo run --profile sim --locked -p riverrun-sim --example replay -- {{ SCENARIO }} {{ SEED }} {{ COUNT }} {{ OPTIONS }}

# every scenario of the world with this many seeds, as the continuous integration does
sim-all SEEDS="200":
    cargo run --profile sim --locked -p riverrun-sim --example replay -- all 0 {{ SEEDS }}

# the same with thousands of other seeds
sim-long SEEDS="5000" FIRST="1000":
    cargo run --profile sim --locked -p riverrun-sim --example replay -- all {{ FIRST }} {{ SEEDS }}

# thousands of nodes of the DHT, some dead, some hostile; docs/dht.md has what comes of it
sim-dht *ARGS:
    cargo run --release --locked -p riverrun-sim --example dht -- {{ ARGS }}

# crowds that come at once to one seed, as CSV or drawn; docs/swarm.md has what comes of it
sim-swarm *ARGS:
    @cargo run -q --release --locked -p riverrun-sim --example swarm -- {{ ARGS }}

# every fuzz body over its corpus, as plain tests; with a target: search for SECONDS with a nightly toolchain
fuzz TARGET="" SECONDS="60":
    {{ if TARGET == "" { "cargo test --manifest-path fuzz/Cargo.toml" } else { "mkdir -p fuzz/found/" + TARGET + " && cargo +nightly fuzz run " + TARGET + " fuzz/found/" + TARGET + " fuzz/corpus/" + TARGET + " -- -max_len=65536 -max_total_time=" + SECONDS } }}

# whole programs side by side on the same work, with the goals: just bench download --rounds 3 (Debian, root; bench/README.md)
bench *ARGS:
    bench/run {{ ARGS }}

# where the processor's time of a download goes, by perf: receive, copy, hash, read back, write, bookkeeping, rest
cpu-split *ARGS:
    cargo build --release --locked --bin riverrun
    bench/cpu-split {{ ARGS }}

# time of small bodies (bencode, hash, layout, codec, picker), with the change since the last run: just bench-micro layout
bench-micro *ARGS:
    cargo bench --locked -p riverrun-metainfo -p riverrun-proto -p riverrun-sim --bench '*' -- {{ ARGS }}

# instructions and allocations of the hot bodies beside xtask/gates.json; --update writes it (x86_64 Linux, valgrind)
gates *ARGS:
    cargo run -q --locked -p xtask -- gates {{ ARGS }}

# real clients both ways over loopback; needs Debian's packages, which it installs, and root for a namespace of its own
interop *ARGS:
    interop/run {{ ARGS }}

# a real swarm on loopback in one command
demo *ARGS:
    cargo run --release --locked -- demo {{ ARGS }}

# all that the continuous integration runs
ci:
    bash .ci/run
