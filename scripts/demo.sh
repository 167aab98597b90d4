#!/usr/bin/env bash
# Shows what tandem does, and checks it: two nodes, a Redis, a small bank, and what happens when a node
# or a client is killed.
# What is passed on goes to `tandem demo`, such as --redis-url redis://127.0.0.1:6379/0.
set -euo pipefail
cd "$(dirname "$0")/.."

# rustup installs there, and a shell that was open before does not look there yet.
PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin
if ! command -v cargo >/dev/null; then
  echo "demo: there is no cargo; install the Rust toolchain (https://rustup.rs) and try again" >&2
  exit 1
fi
rust_min=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
rust=$(cargo --version | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
if [[ $(printf '%s\n' "$rust_min" "$rust" | sort -V | head -n 1) != "$rust_min" ]]; then
  echo "demo: Rust is $rust, at least $rust_min is needed (rustup update)" >&2
  exit 1
fi

case " $* " in
*" --redis-url"*) ;; # nobody needs a Redis server of this machine
*) scripts/setup.sh ;;
esac
exec cargo run --release --locked -- demo "$@"
