"""Parts: what is written of an object, cut into blocks that are sent while it is written."""

from __future__ import annotations

from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.abandoned import UPLOADS
from aisdatapipes.writing.put import put_object
from aisdatapipes.writing.upload import ObjectUpload

__all__ = ["BLOCK_BYTES", "Parts", "part_bytes"]

BLOCK_BYTES = 8 * 2**20

# Parts are as large as a block, until there are so many that the rest has to go into larger ones:
# 9,999 hold more than 10 TB.
_EQUAL_PARTS = 1_000
_PARTS_PER_STEP = 33
_CLOUD_PART_BYTES = 5 * 2**20
"""What S3 and its like want of every part but the last."""


class Parts:
    """The parts of one object: what fits into a block is one request, more of it an upload.

    One block is in memory, and the one before while it is being sent.

    Args:
        request: The object.
        block_size: Bytes of a block.

    Attributes:
        size: Bytes that were added.
    """

    def __init__(self, request: ObjectRequest, block_size: int) -> None:
        if block_size < 1:
            raise ValueError(f"block_size is {block_size}, it must be positive")
        self.size = 0
        self._request = request
        self._block_size = block_size
        self._block, self._other_block = bytearray(), bytearray()
        self._filled = 0
        self._sent = 0
        self._upload: ObjectUpload | None = None

    def add(self, data: memoryview) -> int:
        """Add bytes, and send the blocks that are full; return how many they are.

        Raises:
            AISPipeError: What was added before could not be sent.
        """
        view = _bytes_of(data)
        size, is_constant = view.nbytes, isinstance(view.obj, bytes)
        while view:
            block_bytes = self._block_bytes()
            if self._filled == block_bytes:
                self._send_block()
            elif is_constant and not self._filled and view.nbytes > block_bytes:
                self._send(view[:block_bytes])
                self.size += block_bytes
                view = view[block_bytes:]
            else:
                piece = view[: block_bytes - self._filled]
                self._fill(piece)
                view = view[piece.nbytes :]
        return size

    def send_rest(self, *, as_part: bool = False) -> None:
        """Send what is left, if it is not to go by one request, and wait until it has gone.

        Args:
            as_part: Send what fits into one request before `commit` too.
        """
        if self._filled and (self._upload is not None or as_part):
            self._send_block()
        if self._upload is not None:
            self._upload.wait()

    def commit(self) -> None:
        """Make the object of them, when the rest was sent."""
        if self._upload is None:
            put_object(self._request, memoryview(self._block)[: self._filled], self._filled)
        else:
            self._upload.commit()
            UPLOADS.get().remove(self._upload)
        self._forget()

    def abort(self) -> None:
        """Leave nothing of them."""
        try:
            if self._upload is not None:
                self._upload.abort()
                UPLOADS.get().remove(self._upload)
        finally:
            self._forget()

    def abandon(self, *, is_own: bool) -> None:
        """Do the same in the background; the upload of another process is let alone."""
        if self._upload is not None and is_own:
            UPLOADS.get().abandon(self._upload)
        self._forget()

    def _fill(self, piece: memoryview) -> None:
        """Put a piece into the block, over what was there when it was used before."""
        begin, self._filled = self._filled, self._filled + piece.nbytes
        self._block[begin : self._filled] = piece
        self.size += piece.nbytes

    def _block_bytes(self) -> int:
        is_cloud = self._request.url.provider != "ais"
        least = max(self._block_size, _CLOUD_PART_BYTES) if is_cloud else self._block_size
        return part_bytes(self._sent + 1, least)

    def _send_block(self) -> None:
        self._send(memoryview(self._block)[: self._filled])
        # The part before has been sent by now, from the other block.
        self._block, self._other_block = self._other_block, self._block
        self._filled = 0
        if len(self._block) != self._block_bytes():
            self._block = bytearray()  # as it can grow only where nobody looks at it

    def _send(self, part: memoryview) -> None:
        if self._upload is None:
            self._upload = ObjectUpload(self._request)
            UPLOADS.get().add(self._upload)
        self._upload.send(part)
        self._sent += 1

    def _forget(self) -> None:
        self._block, self._other_block, self._filled = bytearray(), bytearray(), 0


def part_bytes(number: int, block_bytes: int) -> int:
    """Return the size of a part, by its number from 1 on.

    Example:
        >>> [part_bytes(number, 1000) for number in (1, 1000, 1033)]
        [1000, 1000, 8389608]
    """
    steps = max(0, number - _EQUAL_PARTS) // _PARTS_PER_STEP
    return block_bytes + steps * max(block_bytes, BLOCK_BYTES)


def _bytes_of(data: memoryview) -> memoryview:
    if not data.nbytes or not data.c_contiguous:
        return memoryview(data.tobytes())
    return data.cast("B")
