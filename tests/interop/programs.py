"""The programs on the other side: found, started, asked, and ended also when a test fails.

Called as a program it installs those that are missing, by the distribution's package manager.
"""

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest

# Where the distribution has them that are on nobody's path.
FOLDERS = (
    *os.environ["PATH"].split(":"),
    "/usr/sbin",
    *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
)

# Debian's package of each.
PACKAGES = {
    "cc": "gcc",
    "chronyc": "chrony",
    "chronyd": "chrony",
    "initdb": "postgresql-15",
    "ipcmk": "util-linux",
    "ipcrm": "util-linux",
    "ipcs": "util-linux",
    "lsipc": "util-linux",
    "ntpshmmon": "gpsd",
    "perl": "perl",
    "php": "php8.2-cli",
    "postgres": "postgresql-15",
    # Not on the other side: it counts our instructions.
    "valgrind": "valgrind",
}

# What a bare perl lacks.
PERL_MODULES = ("-MIPC::SysV", "-MIPC::Msg", "-MIPC::Semaphore", "-MIPC::SharedMem", "-MJSON::PP")


def found(name: str) -> str | None:
    """Where the program is, if it is there with all that the tests need of it."""
    path = shutil.which(name, path=":".join(FOLDERS))
    if path and name == "perl":
        tried = subprocess.run([path, *PERL_MODULES, "-e", "1"], capture_output=True, check=False)
        return None if tried.returncode else path
    return path


def program(name: str) -> str:
    """Where it is; the test is skipped (which in CI is a failure) if it is not there."""
    path = found(name)
    if path is None:
        pytest.skip(f"needs {name}: install the package {PACKAGES[name]}, or call `make interop`")
    return path


def install() -> None:
    """Install the packages of the programs that are missing."""
    packages = sorted({package for name, package in PACKAGES.items() if found(name) is None})
    if not packages:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit(f"as root, install what has these programs: {' '.join(packages)}")
    # Nobody's machine shall lose another NTP server to this one.
    keep = [] if os.environ.get("CI") == "true" else ["--no-remove"]
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    command = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *keep, *wait]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq", *wait], env=environment, check=False)
    subprocess.run([*command, *packages], env=environment, check=True)
    if left := [name for name in PACKAGES if found(name) is None]:
        sys.exit(f"still missing: {' '.join(left)}")


class Peer:
    """A process of another program, which answers line by line."""

    def __init__(self, *command: str | Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )
        self._received = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")

    def line(self, seconds: float = 30.0) -> str:
        """The next line that it prints."""
        deadline = time.monotonic() + seconds
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                ready = selector.select(deadline - time.monotonic())
                assert ready, f"no answer in {seconds} s; {self.errors()}"
                part = os.read(self._process.stdout.fileno(), 65536)
                assert part, f"it ended without an answer; {self.errors()}"
                self._received += part
        line, self._received = self._received.split(b"\n", 1)
        return line.decode()

    def answer(self) -> Any:
        """What the last expression gave."""
        return json.loads(self.line())

    def ask(self, expression: str) -> Any:
        """What this expression gives there."""
        self.send(expression)
        return self.answer()

    def rest(self) -> str:
        """What else it has printed, when it has ended."""
        assert self._process.stdout
        return (self._received + self._process.stdout.read()).decode()

    def errors(self) -> str:
        """What it has printed on stderr."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def kill(self) -> None:
        """By SIGKILL; its end is waited for."""
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """Let it end by itself, at the end of its input; its status."""
        assert self._process.stdin
        self._process.stdin.close()
        return self._process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            assert pipe
            pipe.close()


PHP = r"""
while (($line = fgets(STDIN)) !== false) {
    fwrite(STDOUT, json_encode(eval("return $line;")) . "\n");
}
"""

PERL = r"""
use IPC::SysV qw(:all);
$| = 1;
$json = JSON::PP->new->allow_nonref->allow_blessed;
while (<STDIN>) {
    $answer = eval $_;
    die $@ if $@;
    print $json->encode($answer), "\n";
}
"""

PYTHON = r"""
import json, sys
names = {}
exec("import sysv_ipc", names)
for line in sys.stdin:
    print(json.dumps(eval(line, names), default=repr), flush=True)
"""


# Without the rest of the system's php.ini.
PHP_MODULES: Sequence[str] = [
    f"-dextension={name}" for name in ("shmop", "sysvmsg", "sysvsem", "sysvshm")
]


def php() -> Peer:
    """PHP, which is asked by expressions."""
    return Peer(program("php"), "-n", *PHP_MODULES, "-d", "display_errors=stderr", "-r", PHP)


def perl() -> Peer:
    """Perl, which is asked by expressions."""
    return Peer(program("perl"), *PERL_MODULES, "-e", PERL)


def incumbent() -> Peer:
    """A Python process with the module `sysv_ipc`, which is asked by expressions."""
    pytest.importorskip("sysv_ipc")
    return Peer(sys.executable, "-c", PYTHON)


if __name__ == "__main__":
    install()
