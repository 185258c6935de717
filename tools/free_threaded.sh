#!/usr/bin/env bash
# Runs the suite on a CPython without the GIL. Where no python3.14t is found, builds a 3.13t from the
# distribution's source package (suite trixie), and the extension with PyO3 0.28, the last that
# knows 3.13t.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/free-threaded
mkdir -p "$work"

# The newest PyO3 that can build for the interpreter, without touching the project's lock file.
if python=$(command -v python3.14t); then
    pyo3=
else
    pyo3=0.28.3
    python=$work/python/bin/python3.13t
fi

build_python() {
    local uri lists=$work/apt
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$')
    mkdir -p "$lists/lists/partial" "$work/source"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" \
        >"$lists/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$lists/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$lists/lists" -o "APT::Sandbox::User=root")
    apt-get "${options[@]}" update -qq
    (cd "$work/source" && apt-get "${options[@]}" source -qq --download-only python3.13)
    mkdir -p "$work/build"
    tar -xf "$work"/source/python3.13_*.orig.tar.xz -C "$work/build" --strip-components=1
    # At exit, 3.13 ends threads by pthread_exit wherever they are, which may not unwind Rust's frames.
    # PyO3 knows that since 0.29, and since 3.14 CPython lets them hang: so does this one.
    sed -i 's/^    pthread_exit(0);/    for (;;) pause();/' "$work/build/Python/thread_pthread.h"
    (cd "$work/build" && ./configure -q --disable-gil --prefix="$work/python" >configure.log 2>&1 \
        && make -s -j"$(nproc)" >make.log 2>&1 && make -s install >install.log 2>&1)
}

[ -x "$python" ] || build_python
"$python" -c 'import sys; assert not sys._is_gil_enabled(), "this interpreter has a GIL"'

venv=$work/venv
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --upgrade pip 'maturin>=1.16,<2'

# A copy, so that another PyO3 can be locked there.
tree=$work/tree
rm -rf "$tree" && mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"
cd "$tree"
export CARGO_TARGET_DIR=$work/target
[ -z "$pyo3" ] || cargo update -q -p pyo3 --precise "$pyo3"
rm -f "$work"/wheels/*.whl
"$venv/bin/maturin" build -q --release -i "$venv/bin/python" -o "$work/wheels"
"$venv/bin/python" -m pip install -q --force-reinstall --no-deps "$work"/wheels/*.whl
# One by one: not every package can be built for such an interpreter, and an older one that is built
# already will do.
list='import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
print(*project["dependency-groups"]["test"], sep="\n")
print(*project["project"]["optional-dependencies"]["cli"], sep="\n")'
"$venv/bin/python" -c "$list" | while read -r package; do
    "$venv/bin/python" -m pip install -q --prefer-binary "$package" >/dev/null 2>&1 \
        || echo "notice: $package can't be installed here, and what needs it is left out"
done
"$venv/bin/python" -c 'import hypothesis' 2>/dev/null || set -- --ignore tests/test_state_machines.py "$@"

if [ -n "$pyo3" ]; then
    # It names an argument in the error's text and not in a note; and a sysv_ipc that is built here has
    # the time limits that its wheels don't have.
    differ=(tests/test_compat_semaphore.py::test_a_constructor_says_what_is_wrong_with_its_arguments)
    same=tests/test_compat_same.py::test_the_same_comes_of_it
    for case in 'negative timeout' 'negative float timeout' 'timeout of bytes to Z' 'key of text' \
        'key of float' "queue's key of bytes" 'attach at text'; do
        differ+=("$same[$case]")
    done
    known=tests/test_compat_old_code.py::test_old_code_does_with_each_module_what_is_known
    for case in 'acquire(timeout=0.1)' 'acquire(0), to try only' 'Z(0.1)'; do
        differ+=("$known[$case]")
    done
    for test in "${differ[@]}"; do
        set -- --deselect "$test" "$@"
    done
fi

rm -rf "$tree/python"
check='import sys, sysv_ipc_rs; assert not sys._is_gil_enabled(), "importing it has turned the GIL on"'
"$venv/bin/python" -W error -c "$check"
# Whatever modules the tests import beside it.
export PYTHON_GIL=0
unshare --ipc "$venv/bin/python" -m pytest -q tests "$@"
