"""Responses: what the cluster, or an ETL that runs there, says of a failure."""

from __future__ import annotations

import html
import json
import re

__all__ = [
    "TAIL_BYTES",
    "answer_of",
    "broke_off",
    "failure_of_etl",
    "reason_of",
    "root_cause",
    "text_of",
]

_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")

# How AIStore marks what it got from an ETL that it sends objects to (hpush), and how it says that
# there was no answer. An ETL that it sends clients to (hpull) answers them itself.
_OF_ETL = "ETL error: "
_NO_ANSWER = re.compile(r'(?:Put|Get) "[^"]*": (.*)', re.DOTALL)
# Python's http.server; the SDK's servers built on Flask and FastAPI answer with JSON.
_PAGE = re.compile(r"<p>Message: (.*?)\.?</p>", re.DOTALL)
_MOST_LETTERS = 300

TAIL_BYTES = 4096
"""How much of an end `broke_off` has to see."""

# What makes an object by pieces and fails between them has told a status of 200 before. The SDK's
# server then writes a second answer, with its error page, behind the pieces; where another server
# hangs up, the target does likewise with its JSON.
_SECOND_ANSWER = re.compile(
    rb"HTTP/1\.[01] 5\d\d [^\r\n]*\r\nServer: BaseHTTP/[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n"
    rb"<!DOCTYPE HTML>.*</html>\s*\Z"
    rb'|\{(?:"tcode":"\w*",)?"message":"[^\n]*","method":"GET","url_path":"/v1/objects/[^\n]*",'
    rb'"node":"[^\n]*","status":\d+\}\n?\Z',
    re.DOTALL,
)


def reason_of(error: Exception) -> str:
    """Return what the cluster says of the failure: it answers with JSON that holds a message."""
    if message := answer_of(error).get("message"):
        return _JWT.sub("...", str(message))
    status = getattr(error, "status_code", None)
    if status is None:
        return text_of(error)
    return f"status {status} and no message of an AIStore cluster; is it one?"


def failure_of_etl(error: Exception) -> str | None:
    """Return an ETL's own words on its failure; None if the answer is none of an ETL.

    Example:
        >>> failure_of_etl(OSError('{"detail": "this is no image"}'))
        'this is no image'
        >>> failure_of_etl(OSError("bucket does not exist")) is None
        True
    """
    answer = str(answer_of(error).get("message") or text_of(error))
    if silence := _NO_ANSWER.match(answer):
        return _shortened(f"its server did not answer: {silence[1]}")
    words = _words_in(answer.removeprefix(_OF_ETL))
    if words is None and answer.startswith(_OF_ETL):
        words = answer.removeprefix(_OF_ETL).strip()
    return None if words is None else _shortened(words)


def broke_off(tail: bytes) -> bool:
    """Whether what an ETL made ends with the words of a failure, sent behind a part of it.

    Args:
        tail: The last `TAIL_BYTES`, or all if it is less.
    """
    return _SECOND_ANSWER.search(tail) is not None


def answer_of(error: Exception) -> dict[str, object]:
    """Return the answer of an AIStore node; empty if it is none."""
    return _object_in(text_of(error))


def text_of(error: Exception) -> str:
    """Return what an error of the SDK or its transport says, as it is."""
    return str(getattr(error, "message", error)).strip()


def root_cause(error: BaseException) -> str:
    """Return what the first error of a chain says."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return getattr(error, "strerror", None) or str(error)


def _words_in(text: str) -> str | None:
    """Return the words in an error page, or in an error object, of a web server."""
    if page := _PAGE.search(text):
        return html.unescape(page[1])
    found = _object_in(text)
    words = found.get("detail") or found.get("error")
    return words if isinstance(words, str) else None


def _object_in(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _shortened(words: str) -> str:
    return _JWT.sub("...", words)[:_MOST_LETTERS]
