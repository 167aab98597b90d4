#!/usr/bin/env bash
# Makes sure that there is a Redis server, which tandem runs as its own where it is given no
# --redis-url, and which the tests run. Call it, or source it; it does nothing where all is there.
# Where REQUIRE_INTEROP is set, it makes sure of the Python that the tests with dtm's client need, too.
set -euo pipefail

# The first version whose settings tandem uses (hash-max-listpack-value).
REDIS_MAJOR_MIN=7

# Debian's way to say whether a package may start its service.
POLICY=/usr/sbin/policy-rc.d

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "setup: installing needs root or sudo; as root: apt-get install redis-server" \
      "${REQUIRE_INTEROP:+python3-venv}" >&2
    return 1
  fi
}

apt_install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
  as_root "${apt[@]}" update
  as_root "${apt[@]}" install -y --no-install-recommends "$@"
}

# In a subshell, so that the trap and what it removes are its own.
install_redis() (
  set -e
  if ! command -v apt-get >/dev/null; then
    echo "setup: redis-server is not installed and there is no apt-get; install Redis" \
      "$REDIS_MAJOR_MIN or newer" >&2
    exit 1
  fi
  # The package would start a Redis on port 6379, which nobody here needs and which may be in
  # another's way. A policy that is there already is somebody's wish and stays as it is.
  if [[ ! -e $POLICY ]]; then
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
  fi
  apt_install redis-server
  # It was not there before, so nobody relies on it: neither now nor at the next boot.
  if [[ -d /run/systemd/system ]]; then
    as_root systemctl disable --now redis-server.service || true
  fi
)

# The client is installed into a virtual environment, whose parts Debian packs apart.
has_python() {
  python3 -c 'import ensurepip, venv' 2>/dev/null
}

check_redis() {
  local version
  version=$(redis-server --version | sed -n 's/.*v=\([0-9]*\).*/\1/p')
  if ((${version:-0} < REDIS_MAJOR_MIN)); then
    echo "setup: $(command -v redis-server) is older than Redis $REDIS_MAJOR_MIN" >&2
    return 1
  fi
}

command -v redis-server >/dev/null || install_redis
check_redis
if [[ -n ${REQUIRE_INTEROP:-} ]] && ! has_python && command -v apt-get >/dev/null; then
  apt_install python3-venv
fi
