"""Times in words."""


def duration(seconds: float) -> str:
    """Write a time with two units at most.

    Example:
        >>> duration(8130.0), duration(42.4)
        ('2 h 16 min', '42 s')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
