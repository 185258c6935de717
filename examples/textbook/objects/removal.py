"""A queue is removed: at once, with its messages. Every later call on its id says so.

Prints:
    removed
    send: RemovedError
    remove: RemovedError
    open: NotFoundError
"""

from collections.abc import Callable

from sysv_ipc_rs import IPCError, MessageQueue

queue = MessageQueue.create(20)
queue.send(b"goes with the queue")
queue.remove()
print("removed")
calls: dict[str, Callable[[], object]] = {
    "send": lambda: queue.send(b"too late"),
    "remove": queue.remove,
    "open": lambda: MessageQueue.open(20),
}
for name, call in calls.items():
    try:
        call()
    except IPCError as error:
        print(f"{name}: {type(error).__name__}")
