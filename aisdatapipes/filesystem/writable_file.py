"""Writable files: objects that are written like files, and are there when the file is closed.

A file that is not closed in good order leaves nothing: after an exception in its block, when it
is dropped, or at the end of the process. That needs care, as Python and libraries close files on
all of these ways too, and never say why:

- ``with`` of the file itself tells of the exception. Others call `close` from an ``__exit__`` of
  theirs. So `close` looks for an exception that was not there when the file was opened, and for a
  ``with`` block that is being left because of it (`leaving`).
- A `close` that stands in ``except`` or ``finally``, and not at the end of a ``with``, is what
  somebody has written there on purpose: it makes the object, of what was written until then, as
  with any other file. Who does not want that calls `discard`.
- An `io.TextIOWrapper` or `io.BufferedWriter` that is dropped closes its file, and tells it before
  by ``_dealloc_warn``.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from enum import Enum, auto
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from aisdatapipes.errors import AlreadyExistsError, IncompleteWriteError
from aisdatapipes.filesystem.leaving import is_left_by_exception
from aisdatapipes.filesystem.parts import BLOCK_BYTES, Parts
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.stored import is_there

if TYPE_CHECKING:
    from typing_extensions import Buffer as ReadableBuffer

__all__ = ["AllOrNothing", "WritableFile", "WritableText"]

_logger = logging.getLogger(__name__)


class _State(Enum):
    OPEN = auto()
    BROKEN = auto()
    COMMITTED = auto()
    DISCARDED = auto()


class AllOrNothing:
    """A file whose ``with`` block closes it at a good end, and discards it after an exception."""

    if TYPE_CHECKING:

        def close(self) -> None:
            """Make the object."""

        def discard(self) -> None:
            """Leave nothing of it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class WritableFile(AllOrNothing, io.BufferedIOBase):
    """An object that is being written. One thread uses it, in one process.

    What fits into a block is sent when the file is closed, more of it while it is written.

    Args:
        request: The object.
        block_size: Bytes of a block.
        autocommit: Whether `close` makes the object; otherwise `commit` does.
        must_be_new: Do not replace an object. It is looked for before the new one is made, which
            is no guarantee against somebody who writes it at the same moment.
        content: What it begins with.
        fs: The filesystem, for those who look for it at the file.
        path: The path, likewise.
        mode: The mode, likewise.

    Example:
        >>> import os
        >>> from aisdatapipes import Settings
        >>> from aisdatapipes.writing.changes import delete_object
        >>> url = "ais://caltech256/file.txt"
        >>> request = ObjectRequest.parse(url, os.environ["AIS_ENDPOINT"], Settings())
        >>> with WritableFile(request) as file:
        ...     file.write(b"hello")
        5
        >>> request.ask_size()
        5
        >>> delete_object(request)
    """

    _state = _State.DISCARDED  # until it is open

    def __init__(
        self,
        request: ObjectRequest,
        *,
        block_size: int = BLOCK_BYTES,
        autocommit: bool = True,
        must_be_new: bool = False,
        content: bytes = b"",
        fs: Any = None,
        path: str = "",
        mode: str = "wb",
    ) -> None:
        self._parts = Parts(request, block_size)
        self.fs, self.path, self.mode = fs, path, mode
        self.name = path or request.url.name
        self.blocksize, self.autocommit = block_size, autocommit
        self._request = request
        self._must_be_new = must_be_new
        self._opened_during = sys.exc_info()[1]
        self._process = os.getpid()
        self._is_dropped = False
        self._state = _State.OPEN
        self.write(content)

    @property
    def label(self) -> str:
        """The object, as messages name it."""
        return self._request.label

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        self._check_open()
        return self._parts.size

    def flush(self) -> None:
        """Do nothing: an object is there when it is whole."""
        self._check_open()

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of `data`; return how many bytes that is.

        Raises:
            AISPipeError: What was written before could not be sent; nothing was changed.
            ValueError: The file is closed.
        """
        self._check_open()
        self._check_usable()
        view = memoryview(data)
        try:
            return self._parts.add(view)
        except BaseException:
            self._state = _State.BROKEN
            raise

    def close(self) -> None:
        """Make the object, or with ``autocommit=False`` send all that it needs.

        At the end of a ``with`` block that an exception ends, it discards.

        Raises:
            AlreadyExistsError: It must be new, and is not.
            AISPipeError: It could not be written; what was there before is as it was, unless the
                message says that this is not known.
        """
        if self.closed:
            return
        if self._is_dropped:
            self.drop()
            return
        if self._is_given_up():
            self.discard()
            return
        try:
            self._check_usable()
            self._parts.send_rest(as_part=not self.autocommit)
            if self.autocommit:
                self.commit()
        except BaseException:
            self.discard()
            raise
        finally:
            super().close()

    def commit(self) -> None:
        """Make the object, of what was written.

        Raises:
            AlreadyExistsError: It must be new, and is not.
            AISPipeError: As for `close`.
            ValueError: It was discarded.
        """
        if self._state is _State.COMMITTED:
            return
        self.prepare()
        self._parts.commit()
        self._end(_State.COMMITTED)

    def discard(self) -> None:
        """Forget what was written, and leave nothing of it; nothing if it is committed."""
        if self._state in (_State.COMMITTED, _State.DISCARDED):
            return
        try:
            self._parts.abort()
        finally:
            self._end(_State.DISCARDED)

    def drop(self) -> None:
        """Do the same in the background: for the garbage collector, which must not wait."""
        if self._state in (_State.COMMITTED, _State.DISCARDED):
            return
        _logger.warning("%s was dropped without being closed: nothing was written", self.label)
        self._parts.abandon(is_own=os.getpid() == self._process)
        self._end(_State.DISCARDED)

    def prepare(self) -> None:
        """Send what is left, and look for what forbids to commit.

        Raises:
            AlreadyExistsError: It must be new, and is not.
            AISPipeError: As for `close`.
            ValueError: It was discarded.
        """
        self._check_usable()
        self._parts.send_rest(as_part=not self.autocommit)
        if self._must_be_new and is_there(self._request):
            raise AlreadyExistsError(
                f"{self.label} is there already: write under another name, or open it with mode "
                "'wb' to replace it"
            )

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.label} is closed, or was never opened")

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise IncompleteWriteError(
                f"cannot write {self.label}: the file was opened by another process: "
                "open it in this one"
            )
        if self._state is _State.BROKEN:
            raise IncompleteWriteError(
                f"cannot write {self.label}: a write to it has failed: nothing was changed"
            )
        if self._state is _State.DISCARDED:
            raise ValueError(f"{self.label} was discarded")

    def _is_given_up(self) -> bool:
        """Whether it is closed for another reason than that all is written."""
        is_child = os.getpid() != self._process
        return is_child or is_left_by_exception(self._opened_during)

    def _end(self, state: _State) -> None:
        self._state, self._opened_during = state, None
        super().close()

    def _dealloc_warn(self, source: object) -> None:
        """Hear of a wrapper that is dropped, and will close this file."""
        self._is_dropped = True

    def __del__(self) -> None:
        # IOBase would close, which commits. At the end of the process little may be left.
        if _State is not None and self._state in (_State.OPEN, _State.BROKEN):
            self.drop()


class WritableText(AllOrNothing, io.TextIOWrapper):
    """A text file over a `WritableFile`, which is discarded where a block ends by an exception."""

    def discard(self) -> None:
        """Leave nothing of it."""
        cast("WritableFile", self.buffer).discard()
