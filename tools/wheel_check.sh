#!/usr/bin/env bash
# Installs the built wheel on every CPython >= 3.11 that is found, alone, and uses it there.
set -euo pipefail
cd "$(dirname "$0")/.."

suitable='import os, sys, sysconfig
fits = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
if fits and sys.version_info >= (3, 11):
    print(sys.version.split()[0], os.path.realpath(sys.executable))'

use='import sys, sysv_ipc_rs as ipc
queue = ipc.MessageQueue.create()
queue.send(b"hello")
assert queue.receive(timeout=1).data == b"hello"
queue.remove()
print("the wheel works on CPython", sys.version.split()[0])'

# What is on the path may be a shim for a version that is not there; it then says nothing here.
found=$(for python in $(type -aP python3 python3.{11..19}) \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    "$python" -I -c "$suitable" 2>/dev/null || true
done | sort --unique --version-sort)

while read -r version python; do
    venv=build/wheel-check-$version
    "$python" -m venv --clear --without-pip "$venv"
    build/tools/bin/python -m pip --python "$venv/bin/python" \
        install --quiet --no-index --no-deps dist/*.whl
    (cd build && "../$venv/bin/python" -c "$use")
    # Alone it has no commands, and says so.
    said=$("$venv/bin/sysv-ipc" ls 2>&1) && exit 1
    [ "$said" = "sysv-ipc: its commands need click: pip install 'sysv-ipc-rs[cli]'" ]
done <<<"$found"

for version in 3.{11..14}; do
    grep -q "^$version\." <<<"$found" || echo "no CPython $version was found to try the wheel on"
done
