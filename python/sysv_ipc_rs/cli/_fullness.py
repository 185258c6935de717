"""How full queues are."""

from .. import MessageQueueStat


def fullness(stat: MessageQueueStat) -> float:
    """How full a queue is; 1 is full.

    Its limit is one of bytes, and as many messages: of empty ones there may be no more.
    """
    used = max(stat.current_bytes, stat.messages)
    if stat.max_bytes == 0:
        return 1.0
    return used / stat.max_bytes
