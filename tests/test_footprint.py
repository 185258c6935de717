"""A million calls of each kind leave nothing behind in the process."""

import pytest
import support

CALLS = 1_000_000
MIB = 1 << 20

# `use` is called again and again; the first rounds fill caches that stay.
PROGRAM = """if True:
    import os, sys
    import sysv_ipc_rs as ipc

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def usage():
        maps = len(open("/proc/self/maps").readlines())
        return maps, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    handle = None
    try:
        {setup}
        def use(rounds):
            for _ in range(rounds):
                {use}
        use(20_000)
        before, used = resident(), usage()
        use({calls})
        print(resident() - before, usage() == used)
    finally:
        handle.remove()
"""

USES = {
    "acquire and release": (
        "handle = ipc.Semaphore.create()",
        "handle.acquire(); handle.release()",
    ),
    "hold": (
        "handle = ipc.Semaphore.create()",
        "with handle: pass",
    ),
    "send and receive": (
        "handle = ipc.MessageQueue.create(); data = bytes(64)",
        "handle.send(data); handle.receive(timeout=1)",
    ),
    "attach and detach": (
        "handle = ipc.SharedMemory.create(size=5000)",
        "handle.attach().detach()",
    ),
    "attach, export and drop": (
        "handle = ipc.SharedMemory.create(size=5000)",
        "memoryview(handle.attach())[0] = 1",
    ),
    "waits that expire": (
        "handle = ipc.MessageQueue.create()",
        """
                try: handle.receive(timeout=0)
                except ipc.WaitTimeoutError: pass""",
    ),
    "objects that are not there": (
        "handle = ipc.Semaphore.create()",
        """
                try: ipc.MessageQueue.open(7)
                except ipc.NotFoundError: pass""",
    ),
    "arguments that are refused": (
        "handle = ipc.Semaphore.create()",
        """
                try: handle.acquire(10**10)
                except (ValueError, OverflowError): pass""",
    ),
}


@pytest.mark.parametrize("what", USES)
def test_a_million_calls_leave_resident_memory_as_it_was(what: str) -> None:
    setup, use = USES[what]
    program = PROGRAM.format(setup=setup, use=use, calls=CALLS)
    ended = support.run_python(program, seconds=250)
    assert (ended.returncode, ended.stderr) == (0, "")
    grown, same = ended.stdout.split()
    assert int(grown) < MIB
    assert same == "True", "mappings, descriptors or threads have come"
