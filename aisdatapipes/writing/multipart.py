"""Multipart: an upload as the cluster has it, by single steps that are never repeated here.

What AIStore v1.5.0 does with such an upload decides what may be done to it:

- A part that it gets twice leaves an object that cannot be read, and it answers 200
  (``core/ufest.go``, ``_add``: it removes the file that it has just written).
- To complete it twice at the same time, or to abort it while it is being completed, removes
  pieces of the object. Completing waits as long as somebody reads the object that is there.
- To complete it with no parts changes nothing, and tells whether it is there.

Source: AIStore v1.5.0, ``ais/tgtmpt.go`` and ``core/ufest.go``.
"""

from __future__ import annotations

import hashlib
import threading
import time
from http import HTTPStatus

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.errors import AISPipeError, IncompleteWriteError
from aisdatapipes.processes.background import pause
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.content import Content
from aisdatapipes.writing.refusals import written
from aisdatapipes.writing.sending import act, is_passing, send_content

__all__ = ["MAX_PARTS", "MultipartUpload"]

MAX_PARTS = 9_999
_LOOK_AGAIN_S = 0.1
_SHA256 = "X-Amz-Content-Sha256"


class MultipartUpload:
    """An upload that has begun.

    Args:
        request: The object that it becomes.

    Raises:
        AISPipeError: The cluster begins none, or gives no answer: then it may have an empty one.
    """

    def __init__(self, request: ObjectRequest) -> None:
        self._request = request
        self._is_untouchable = False
        self._like = ""
        self._fields = {"uploadId": act(request, {"action": "mpt-upload"}, {}).text}

    def put(
        self,
        number: int,
        part: bytes | memoryview,
        stop: threading.Event,
        *,
        is_verified: bool = False,
    ) -> None:
        """Send a part, once; nobody may send it again where that fails.

        Args:
            number: From 1 on, in order: so the cluster keeps a checksum of the whole.
            part: Its bytes, one at least.
            stop: Ends the sending.
            is_verified: Have the cluster refuse a part that was changed on the way. That costs
                about as much as to send it: of the checksums of parts it heeds SHA-256 only.
        """
        fields = {**self._fields, "partNumber": str(number)}
        checksum = {_SHA256: hashlib.sha256(part).hexdigest()} if is_verified else {}
        content = Content(part, len(part), stop)
        # The node that has the parts before. If it is not the right one any more, the proxy sends
        # the request to complete elsewhere, where nobody knows of this upload.
        self._like = send_content(self._request, content, fields, checksum, self._like).url

    def complete(self, count: int) -> bool:
        """Make an object of all parts.

        Args:
            count: How many there are.

        Returns:
            Whether the cluster says that it is done. If not, nobody has heard of it and the
            upload is gone: the object shows whether it was completed.

        Raises:
            IncompleteWriteError: It may be completed still, and must not be touched.
            AISPipeError: It is not, nor will be.
        """
        parts: list[dict[str, object]] = [
            {"part-number": number, "etag": ""} for number in range(1, count + 1)
        ]
        for retries_left in reversed(range(self._request.settings.max_retries + 1)):
            is_done = self._try_to_complete(parts, retries_left)
            if is_done is not None:
                return is_done
        return False

    def _try_to_complete(self, parts: list[dict[str, object]], retries_left: int) -> bool | None:
        """Return what `complete` does; None if it has failed, left all as it was, and may again."""
        try:
            self._act({"action": "mpt-complete", "value": parts})
        except AISPipeError as error:
            if not is_passing(error):
                raise
            if not self._was_not_completed():
                return False
            # With an answer it may have failed in the middle, and have lost parts.
            if error.status_code or not retries_left:
                raise
            return None
        return True

    def abort(self) -> None:
        """Remove it, with all its parts; one that is gone already is no error."""
        if self._is_untouchable:
            return
        request = self._request
        try:
            with written(request):
                item = request.sdk_object()
                bucket_for(request.url, request.endpoint, request.settings).client.request(
                    "DELETE",
                    path=item._object_path,
                    params={**item.query_params, **self._fields},
                    json={"action": "mpt-abort"},
                )
        except AISPipeError as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise

    def _was_not_completed(self) -> bool:
        """Wait until it is certain what became of completing it: whether nothing did.

        It is not being done where nobody has a lock on the object. Twice, as that may be just
        before it has its lock, or just after.
        """
        deadline = time.monotonic() + self._request.settings.retry_deadline_s
        times_idle = 0
        while times_idle < 2:
            try:
                if not self._is_there():
                    return False
                times_idle = times_idle + 1 if self._is_unlocked() else 0
            except AISPipeError as error:
                if not is_passing(error):
                    raise
                times_idle = 0
            if time.monotonic() > deadline:
                raise self._unknown()
            pause(_LOOK_AGAIN_S)
        return True

    def _unknown(self) -> IncompleteWriteError:
        self._is_untouchable = True
        return IncompleteWriteError(
            f"cannot tell whether {self._request.label} was written: the cluster does not say, or "
            "is not done with it: read the object later, and write it again if it is the old one"
        )

    def _is_there(self) -> bool:
        """Whether the cluster has it; without a part it completes nothing."""
        try:
            self._act({"action": "mpt-complete", "value": []})
        except AISPipeError as error:
            if error.status_code == HTTPStatus.NOT_FOUND:
                return False
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
        return True

    def _is_unlocked(self) -> bool:
        try:
            return act(self._request, {"action": "check-lock"}, {}).status_code == HTTPStatus.OK
        except AISPipeError as error:
            if error.status_code != HTTPStatus.LOCKED:
                raise
            return False

    def _act(self, action: dict[str, object]) -> None:
        act(self._request, action, self._fields)
