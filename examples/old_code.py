"""Old code that crashes, hangs or goes wrong with `sysv_ipc`, beside the drop-in.

Each piece runs unchanged, in a process of its own, once with each module:

    $ pip install sysv-ipc-rs sysv_ipc==1.2.0
    $ python examples/old_code.py
"""

import subprocess
import sys
from dataclasses import dataclass

DROP_IN = "import sysv_ipc_rs.compat; sysv_ipc_rs.compat.install()"
# Seconds: of what is known to wait for ever, and of everything else, on a busy machine too.
PATIENCE, LONG = 1.0, 30.0

# Makes the objects that the pieces use, forks, runs the piece in the child, and removes the objects
# however the child ends. A piece leaves its answer in `answer`.
RUNNER = """
import contextlib, os, signal, sys, time
install, code, patience = sys.argv[1], sys.argv[2], float(sys.argv[3])
exec(install)
import sysv_ipc
CREX = sysv_ipc.IPC_CREX
semaphore = sysv_ipc.Semaphore(None, CREX, initial_value=0)
queue = sysv_ipc.MessageQueue(None, CREX)
memory = sysv_ipc.SharedMemory(None, CREX, init_character=b"x")
came, answers = os.pipe()
pid = os.fork()
if pid == 0:
    scope = dict(globals(), answer="no answer")
    try:
        exec(code, scope)
        answer = str(scope["answer"])
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    os.write(answers, answer.encode())
    os._exit(0)
os.close(answers)
end, ended = time.monotonic() + patience, (0, 0)
while not ended[0] and time.monotonic() < end:
    time.sleep(0.005)
    ended = os.waitpid(pid, os.WNOHANG)
if not ended[0]:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print(f"still waits after {patience:g} s")
elif os.WIFSIGNALED(ended[1]):
    print("killed by", signal.Signals(os.WTERMSIG(ended[1])).name)
else:
    print(os.read(came, 10000).decode())
for made in (semaphore, queue, memory):
    with contextlib.suppress(sysv_ipc.Error):
        made.remove()
"""


@dataclass(frozen=True)
class Piece:
    """A piece of old code, and what each of the modules is known to do with it: all of the text,
    or the class of the exception."""

    name: str
    code: str
    theirs: str
    ours: str


CRASH = "killed by SIGSEGV"
WAITS = f"still waits after {PATIENCE:g} s"

PIECES = [
    Piece(
        "read a view after detach()",
        "view = memoryview(memory); memory.detach(); answer = bytes(view[:3])",
        CRASH,
        "b'xxx'",
    ),
    Piece(
        "make a view after detach()",
        "memory.detach(); answer = bytes(memory)[:3]",
        CRASH,
        "NotAttachedError: Buffer attempt on unattached memory segment",
    ),
    Piece(
        "write to a view of a read-only attachment",
        "memory.detach(); memory.attach(None, sysv_ipc.SHM_RDONLY); memoryview(memory)[0] = 1",
        CRASH,
        "TypeError: cannot modify read-only memory",
    ),
    Piece(
        "del semaphore.block",
        "del semaphore.block",
        CRASH,
        "AttributeError",
    ),
    Piece(
        "del semaphore.value",
        "del semaphore.value",
        CRASH,
        "AttributeError",
    ),
    Piece(
        "acquire(timeout=0.1)",
        "semaphore.acquire(timeout=0.1)",
        WAITS,
        "BusyError: The semaphore is busy",
    ),
    Piece(
        "acquire(0), to try only",
        "semaphore.acquire(0)",
        WAITS,
        "BusyError: The semaphore is busy",
    ),
    Piece(
        "Z(0.1)",
        "semaphore.release(); semaphore.Z(0.1)",
        WAITS,
        "BusyError: The semaphore is busy",
    ),
    Piece(
        "release(-32768)",
        "semaphore.release(-32768)",
        WAITS,
        "OverflowError: The delta must be between -32767 and 32767",
    ),
    Piece(
        "send more than the queue can ever hold",
        "queue.max_size = 10; queue.send(b'x' * 11)",
        WAITS,
        "ValueError: The message length exceeds queue's max_size (10)",
    ),
    Piece(
        "a signal with a handler during acquire()",
        "signal.signal(signal.SIGALRM, lambda *_: semaphore.release());"
        "signal.setitimer(signal.ITIMER_REAL, 0.2); semaphore.acquire(); answer = 'acquired'",
        "Error: Signaled while waiting",
        "acquired",
    ),
    Piece(
        "a signal with a handler during receive()",
        "signal.signal(signal.SIGALRM, lambda *_: queue.send(b'hello'));"
        "signal.setitimer(signal.ITIMER_REAL, 0.2); answer = queue.receive()",
        "Error: Signaled while waiting",
        "(b'hello', 1)",
    ),
    Piece(
        "the key 2**32 + a key",
        "answer = sysv_ipc.Semaphore(2**32 + semaphore.key).id == semaphore.id",
        "True",
        "ValueError: Key must be between -2147483648 (KEY_MIN) and 2147483647 (KEY_MAX)",
    ),
    Piece(
        "semaphore.value = 2**32 + 5",
        "semaphore.value = 2**32 + 5; answer = semaphore.value",
        "5",
        "ValueError: The semaphore's value must remain between 0 and SEMVMX",
    ),
    Piece(
        "queue.max_size = 2**32 + 100",
        "queue.max_size = 2**32 + 100; answer = queue.max_size",
        "100",
        "ValueError: max_size 4294967396 is not in the range 0 to 2147483647",
    ),
    Piece(
        "MessageQueue(max_message_size=2**64 + 10)",
        "sysv_ipc.MessageQueue(queue.key, max_message_size=2**64 + 10).send(b'x' * 11)",
        "ValueError: The message length exceeds queue's max_message_size (10)",
        "ValueError: The message length must be <= 9223372036854775807",
    ),
    Piece(
        "SharedMemory(size=2**64 + 4096)",
        "made = sysv_ipc.SharedMemory(None, CREX, size=2**64 + 4096); made.remove();"
        "answer = made.size",
        "4096",
        "ValueError: size 18446744073709555712 is not in the range 0 to 9223372036854775807",
    ),
    Piece(
        "memory.read(3, offset=2**64 + 1)",
        "answer = memory.read(3, offset=2**64 + 1)",
        "b'xxx'",
        "ValueError: The offset must be less than the segment size",
    ),
    Piece(
        "semaphore.mode = 0o1777777",
        "semaphore.mode = 0o1777777; answer = oct(semaphore.mode)",
        "0o777",
        "ValueError: mode 524287 is not in the range 0 to 0o777",
    ),
    Piece(
        "what a constructor that fails leaves",
        """
try:
    sysv_ipc.Semaphore(0x01DC0DE, CREX, initial_value=99999)
except ValueError:
    try:
        sysv_ipc.Semaphore(0x01DC0DE).remove()
        answer = "a semaphore"
    except sysv_ipc.ExistentialError:
        answer = "nothing"
""",
        "a semaphore",
        "nothing",
    ),
    Piece(
        "how often a segment is attached after `del memory`",
        """
made = sysv_ipc.SharedMemory(None, CREX)
id = made.id
del made
again = sysv_ipc.attach(id)
answer = again.number_attached - 1
again.remove()
""",
        "1",
        "0",
    ),
    Piece(
        "the value after Semaphore(key, IPC_CREAT) of one that exists",
        "semaphore.value = 7; sysv_ipc.Semaphore(semaphore.key, sysv_ipc.IPC_CREAT);"
        "answer = semaphore.value",
        "0",
        "7",
    ),
    Piece(
        "receive() of a message whose type is 2**40",
        "queue.send(b'far', type=2**40); answer = queue.receive(type=2**40)",
        "OverflowError: signed integer is greater than maximum",
        "(b'far', 1099511627776)",
    ),
]


def outcome(piece: Piece, install: str, known: str) -> str:
    """What a piece comes to."""
    patience = PATIENCE if known == WAITS else LONG
    command = [sys.executable, "-c", RUNNER, install, piece.code, str(patience)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() or ran.stderr.strip()


def as_known(seen: str, known: str) -> bool:
    return seen == known or seen.startswith(f"{known}: ")


def main() -> int:
    """Shows every piece with both; 1 if one does something else than is known."""
    surprises = 0
    for piece in PIECES:
        print(piece.name)
        for module, install, known in (
            ("sysv_ipc", "", piece.theirs),
            ("sysv_ipc_rs.compat", DROP_IN, piece.ours),
        ):
            seen = outcome(piece, install, known)
            good = as_known(seen, known)
            print(f"    {module:20}{seen}" + ("" if good else f"    NOT {known}"))
            surprises += not good
    print(f"{len(PIECES)} pieces, {surprises} surprises")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
