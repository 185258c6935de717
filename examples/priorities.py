"""A receiver chooses among the waiting messages: here the lowest type, up to 3, first."""

from sysv_ipc_rs import MessageQueue

queue = MessageQueue.create()
queue.send(b"later", 3)
queue.send(b"urgent", 1)
queue.send(b"normal", 2)
for kind, data in queue.messages(-3, timeout=0.1):
    print(kind, data.decode())
queue.remove()
