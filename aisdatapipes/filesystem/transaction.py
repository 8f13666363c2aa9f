"""Transactions: files that become objects together, or not at all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fsspec.transaction import Transaction

from aisdatapipes.errors import IncompleteWriteError

if TYPE_CHECKING:
    from aisdatapipes.filesystem.writable_file import WritableFile

__all__ = ["AISTransaction"]

_logger = logging.getLogger(__name__)


class AISTransaction(Transaction):
    """Commits all files of a ``with`` block at its end, or none after an exception.

    Each is sent when it is closed, and committed at the end, which takes one short request. Should
    one of these fail, those before it are objects already, as AIStore commits one at a time: the
    error names them, and the rest is discarded.

    A file that is still open then is an error: what it was wrapped in, for a text or to compress,
    may hold the rest of its content.
    """

    def complete(self, commit: bool = True) -> None:
        """Commit all files, or discard them.

        Raises:
            IncompleteWriteError: Some are committed, and others could not be; or a file is still
                open, and none is committed.
            AISPipeError: None is committed.
        """
        files: list[WritableFile] = list(self.files)
        done: list[WritableFile] = []
        try:
            if commit:
                _check_closed(files)
                for file in files:
                    file.prepare()
                for file in files:
                    file.commit()
                    done.append(file)
        except Exception as error:
            if not done:
                raise
            raise IncompleteWriteError(_message(files, done, error)) from error
        finally:
            # In this order: what is not committed must go, whatever happens.
            for file in files[len(done) :]:
                _discard(file)
            self.files.clear()
            super().complete(commit=False)  # which ends the transaction


def _check_closed(files: list[WritableFile]) -> None:
    if still_open := [file for file in files if not file.closed]:
        raise IncompleteWriteError(
            f"the transaction ends while {', '.join(map(_name_of, still_open))} is open: nothing "
            "was written: close each file before"
        )


def _message(files: list[WritableFile], done: list[WritableFile], error: Exception) -> str:
    return (
        f"the transaction was broken off: {', '.join(map(_name_of, done))} were committed, "
        f"{', '.join(map(_name_of, files[len(done) :]))} were not: {error}"
    )


def _name_of(file: WritableFile) -> str:
    return repr(file.path or file.label)


def _discard(file: WritableFile) -> None:
    try:
        file.discard()
    except Exception:
        _logger.warning("cannot discard %s", file.label, exc_info=True)
