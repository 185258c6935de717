#!/usr/bin/env bash
# Installs the built wheel on every CPython >= 3.11 that is found, and uses it there.
set -euo pipefail
cd "$(dirname "$0")/.."

use='import sys, sysv_ipc_rs as ipc
queue = ipc.MessageQueue.create()
queue.send(b"hello")
assert queue.receive(timeout=1).data == b"hello"
queue.remove()
print("the wheel works on CPython", sys.version.split()[0])'

# What `command -v` finds may be a shim for a version that is not there.
for python in python3.{11..19} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    "$python" -c 'import sys, sysconfig
sys.exit(sys.version_info < (3, 11) or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))' || continue
    [ -z "${seen[${version/./}]:-}" ] || continue
    seen[${version/./}]=yes
    venv=build/wheel-check-$version
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" 2>/dev/null || continue
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall dist/*.whl
    (cd build && "../$venv/bin/python" -c "$use")
done
