"""How full queues are, and how that reads."""

from .. import MessageQueueStat


def fullness(stat: MessageQueueStat) -> float:
    """How full a queue is; 1 is full.

    Its limit is one of bytes, and as many messages: of empty ones there may be no more.
    """
    used = max(stat.current_bytes, stat.messages)
    if stat.max_bytes == 0:
        return 1.0
    return used / stat.max_bytes


def percent(share: float) -> str:
    """Rounded down: 100 % is full, and only 0 is 0 %."""
    number = int(share * 100)
    return f"{number or ('<1' if share else 0)}%"
