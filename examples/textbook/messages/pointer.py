"""A message is bytes, and a pointer is 8 bytes of no use to anybody else.

Python's objects hold pointers: what is to be sent is packed first, by `encode`, `struct` or
`json`.

Prints:
    a list: TypeError
    text: TypeError
    as JSON: ['some', 'words']
"""

import json
import sys
from typing import Any

from sysv_ipc_rs import MessageQueue

queue = MessageQueue.create()
try:
    for name, data in {"a list": ["some", "words"], "text": "some words"}.items():
        wrong: Any = data
        try:
            queue.send(wrong)
        except TypeError as error:
            print(f"{name}: {type(error).__name__}")
    queue.send(json.dumps(["some", "words"]).encode())
    print("as JSON:", json.loads(queue.receive().data))
finally:
    if "leave" not in sys.argv:
        queue.remove()
