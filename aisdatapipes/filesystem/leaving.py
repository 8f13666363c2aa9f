"""Leaving: whether a ``with`` block of some caller is being left because of an exception.

``with`` of a file itself tells it of the exception. ``fsspec.open``, pyarrow's writers and many
others only call `close` from their own ``__exit__``, with nothing that tells why. So the frames of
the callers are looked at: one that runs an ``__exit__`` because of an exception does so by an
instruction of its own.
"""

from __future__ import annotations

import dis
import sys
from types import FrameType

__all__ = ["is_left_by_exception"]

_WITH_EXCEPT_START = dis.opmap["WITH_EXCEPT_START"]
# No further behind it, with ``async with``, is what waits: YIELD_FROM, SEND, YIELD_VALUE or RESUME.
# With a plain ``with`` nothing that calls is as near.
_AWAITING_BYTES = 12


def is_left_by_exception(known: BaseException | None) -> bool:
    """Whether some caller is leaving a ``with`` block because of an exception other than this."""
    error = sys.exc_info()[1]
    if error is None or error is known:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_leaving_with(frame):
        frame = frame.f_back
    return frame is not None


def _is_leaving_with(frame: FrameType) -> bool:
    """Whether it is in an ``__exit__``, also one of C, or ``__aexit__`` that gets an exception."""
    begin = max(0, frame.f_lasti - _AWAITING_BYTES)
    return _WITH_EXCEPT_START in frame.f_code.co_code[begin : frame.f_lasti + 1 : 2]
