"""Packages of the index that import `sysv_ipc` work with the drop-in in its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import support

TOOZ = ["tooz==9.1.0", "etcd3gw", "fixtures", "kazoo", "pymemcache", "redis", "testtools"]
# Without what they need for real hardware, and without `sysv_ipc` itself.
ALONE = ["ipx==0.1.7", "Adafruit-Blinka==10.0.0"]


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder that they are installed in."""
    with support.shared_folder("packages") as folder:
        installed = folder / "installed.txt"
        wanted = "\n".join(TOOZ + ALONE)
        if not installed.exists() or installed.read_text() != wanted:
            support.pip("install", "--upgrade", "--target", str(folder), *TOOZ)
            support.pip("install", "--upgrade", "--target", str(folder), "--no-deps", *ALONE)
            installed.write_text(wanted)
        return folder


def environment(packages: Path, replaced: Path) -> dict[str, str]:
    """Where a program can import the packages, and the drop-in as `sysv_ipc`."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(replaced), str(packages)])}


def run(*command: str, packages: Path, replaced: Path) -> str:
    """What a program prints there."""
    ran = subprocess.run(
        [sys.executable, *command],
        env=environment(packages, replaced),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


# How many of its tests pass. They sleep most of their time, so the parts run side by side.
PARTS = {
    "lock": 22,
    "join and not lock": 1,
    "leave and not join and not lock": 1,
    "not lock and not join and not leave": 12,
}


def test_the_coordination_library_passes_its_own_tests(packages: Path, replaced: Path) -> None:
    """tooz: locks and groups by semaphores and shared memory; outside CI only the locks.

    With the incumbent 21 pass of the 36, since the others need timeouts.
    """
    if not support.may_unshare():
        pytest.skip("needs the right to IPC namespaces of its own: it leaves semaphores behind")
    parts = PARTS if os.environ.get("CI") else {"lock": PARTS["lock"]}
    tests = packages / "tooz" / "tests" / "test_coordination.py"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(packages)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "-k", part, str(tests)],
            env=environment(packages, replaced) | {"TOOZ_TEST_URL": "ipc://"},
            preexec_fn=support.unshare_ipc,  # noqa: PLW1509  one system call, no lock
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    try:
        told = [part.communicate(timeout=120)[0] for part in started]
    finally:
        for part in started:
            part.kill()
            part.wait()
    passed = [re.search(r"(\d+) passed", text) for text in told]
    assert [int(found[1]) if found else 0 for found in passed] == list(parts.values()), told
    assert not re.search(r"\d (failed|error)", "".join(told)), told


PIPE = """
import os, sys
import sysv_ipc
from ipx import SharedMemoryArrow
assert sysv_ipc.__name__ == "sysv_ipc_rs.compat"
size, name = 4096, "/dev/shm/0x5EED1234"
arrow = SharedMemoryArrow.new(size=size, name=name)
sent = [{"number": n, "text": "x" * n} for n in range(300)]
pid = os.fork()
if pid == 0:
    there = SharedMemoryArrow.new(size=size, name=name)
    for thing in sent:
        there.send(thing)
    while there.send(None):
        pass
    os._exit(0)
got = []
while len(got) < len(sent):
    thing = arrow.receive()
    if thing is not None:
        got.append(thing)
os.waitpid(pid, 0)
arrow.detach()
arrow.destroy()
print(got == sent)
"""


def test_a_pipe_in_shared_memory_brings_everything_across(packages: Path, replaced: Path) -> None:
    """ipx: objects through a ring of bytes in a segment, between two processes."""
    assert run("-c", PIPE, packages=packages, replaced=replaced) == "True\n"


# In place of the program that reads the pin, which is made for ARM: it speaks the same protocol.
HELPER = """#!{python}
import sys, time
import sysv_ipc
arguments = sys.argv[1:]
queue = sysv_ipc.MessageQueue(int(arguments[arguments.index("--queue") + 1]))
pulses = [100, 200, 300]
queue.send(b"!", type=2)
while True:
    command = queue.receive(type=1)[0].decode()
    if command == "l":
        queue.send(str(len(pulses)), type=2)
    elif command == "^":
        queue.send(str(pulses.pop(0) if pulses else -1), type=2)
    elif command[0] == "i":
        place = int(command[1:])
        queue.send(str(pulses[place] if place < len(pulses) else -1), type=2)
    elif command == "c":
        pulses.clear()
"""

PULSES = """
import subprocess, sys
import sysv_ipc
from adafruit_blinka.microcontroller.bcm283x.pulseio import PulseIn as module
assert module.sysv_ipc.__name__ == "sysv_ipc_rs.compat"
start = subprocess.Popen
module.subprocess.Popen = lambda command: start([sys.executable, sys.argv[1], *command[1:]])
# It gives its helper a quarter of a second; an interpreter may take longer to start.
wait = module.PulseIn._wait_receive_msg
module.PulseIn._wait_receive_msg = lambda self, timeout=0, type=2: wait(self, timeout * 40, type)
class Pin:
    id = 17
with module.PulseIn(Pin(), maxlen=5) as pulses:
    print(len(pulses), pulses[1], pulses.popleft(), len(pulses))
    pulses.pause(); pulses.resume(); pulses.clear()
    print(len(pulses))
    try:
        pulses.popleft()
    except IndexError as error:
        print(error)
    key = pulses._mq.key
try:
    sysv_ipc.MessageQueue(key)
except sysv_ipc.ExistentialError:
    print("removed")
"""


def test_the_pulse_reader_talks_with_its_helper(
    packages: Path, replaced: Path, tmp_path: Path
) -> None:
    """Adafruit-Blinka's PulseIn: commands and answers through a message queue."""
    helper = tmp_path / "helper.py"
    helper.write_text(HELPER)
    told = run("-c", PULSES, str(helper), packages=packages, replaced=replaced)
    assert told == "3 200 100 2\n0\npop from empty list\nremoved\n"
