"""Errors of aisdatapipes: one family, and every member fits the handlers that old code has.

::

    AISPipeError                       AISError (SDK)
    ├── InvalidURLError                InvalidURLException (SDK), ValueError
    │   └── EndpointError
    ├── BucketNotFoundError            ErrBckNotFound (SDK), FileNotFoundError; status 404
    │   └── RemoteBucketNotFoundError  ErrRemoteBckNotFound (SDK)
    ├── NoObjectsError                 FileNotFoundError
    ├── ObjectNotFoundError            ErrObjNotFound (SDK), FileNotFoundError; status 404
    ├── IsFolderError                  IsADirectoryError
    ├── NotAFolderError                NotADirectoryError
    ├── AlreadyExistsError             FileExistsError
    ├── NotEmptyError                  OSError
    ├── ETLNotFoundError               ErrETLNotFound (SDK), LookupError; status 404
    ├── ETLFailedError                 RuntimeError; status as the ETL has it
    ├── AuthenticationError            PermissionError; status 401
    ├── AccessDeniedError              PermissionError; status 403
    ├── ObjectBusyError                ErrGETConflict (SDK), BlockingIOError; status 409
    ├── ObjectChangedError             OSError
    ├── IncompleteReadError            EOFError
    │   └── CutArchiveError
    ├── IncompleteWriteError           OSError
    ├── ChecksumError                  OSError
    │   └── NoChecksumError
    ├── BadArchiveError                tarfile.ReadError
    ├── DecodingError                  ValueError
    ├── StateMismatchError             ValueError
    ├── ManifestError                  ValueError
    ├── ShardIndexError                ValueError
    ├── UnequalStreamsError            ValueError
    ├── TooManyErrorsError             RuntimeError
    ├── ClusterUnreachableError        requests.ConnectionError, ConnectionError
    │   └── TargetUnreachableError
    ├── ClusterTimeoutError            requests.Timeout, TimeoutError
    ├── CertificateError               requests.exceptions.SSLError
    └── ClusterError                   OSError; any other status

Three tuples say what an error means for what is done next, and nothing else decides on it:

* `CLUSTER_WIDE`: it is about the cluster, the bucket's settings or this client. No error policy
  skips it, as every other object would fail likewise and the epoch be empty; but a
  `TargetUnreachableError` takes the objects of one target only.
* `RETRYABLE`: reading the same bytes again may succeed.
* `UNREADABLE`: it is about this one object, which cannot be read as it is. All others say nothing
  of the object: the cluster fails or refuses (a status of 5xx, a time-out, a connection that
  broke, a bucket that is gone, no access). What is unknown then must not count as nothing.

All have an ``errno``, those too that are no `OSError`.

One warning is here too: `NoObjectsWarning`, a `UserWarning`.

Each class is built from one ready-made message. That is also what keeps its type on the way
out of a DataLoader worker: torch rebuilds a worker's error from a single string there.

This leaf imports the error classes of the SDK and of requests, which the SDK raises, because
ours derive from them.

Example:
    >>> error = ObjectNotFoundError("no object 'a/1.jpg' in ais://imagenet")
    >>> isinstance(error, AISError), isinstance(error, FileNotFoundError), error.status_code
    (True, True, 404)
"""

from __future__ import annotations

import errno
import tarfile

import requests
from aistore.sdk.errors import (
    AISError,
    ErrBckNotFound,
    ErrETLNotFound,
    ErrGETConflict,
    ErrObjNotFound,
    ErrRemoteBckNotFound,
    InvalidURLException,
)

__all__ = [
    "CLUSTER_WIDE",
    "RETRYABLE",
    "UNREADABLE",
    "AISPipeError",
    "AccessDeniedError",
    "AlreadyExistsError",
    "AuthenticationError",
    "BadArchiveError",
    "BucketNotFoundError",
    "CertificateError",
    "ChecksumError",
    "ClusterError",
    "ClusterTimeoutError",
    "ClusterUnreachableError",
    "CutArchiveError",
    "DecodingError",
    "ETLFailedError",
    "ETLNotFoundError",
    "EndpointError",
    "IncompleteReadError",
    "IncompleteWriteError",
    "InvalidURLError",
    "IsFolderError",
    "ManifestError",
    "NoChecksumError",
    "NoObjectsError",
    "NoObjectsWarning",
    "NotAFolderError",
    "NotEmptyError",
    "ObjectBusyError",
    "ObjectChangedError",
    "ObjectNotFoundError",
    "RemoteBucketNotFoundError",
    "ShardIndexError",
    "StateMismatchError",
    "TargetUnreachableError",
    "TooManyErrorsError",
    "UnequalStreamsError",
]


class AISPipeError(AISError):
    """Base of every error that this package raises for a cluster, a URL or an object.

    Args:
        message: What failed, the label in full, and the next step. Holds no secret.

    Attributes:
        status_code: HTTP status the cluster answered with, 0 where there was no answer.
        message: The message, as in the SDK's own errors.
        errno: What the operating system would call such a failure of a file.

    Example:
        >>> str(AISPipeError("no cluster at http://localhost:8080"))
        'no cluster at http://localhost:8080'
    """

    status_code: int = 0
    _errno = errno.EIO

    def __init__(self, message: str) -> None:
        # Not super(): the SDK's constructors want the response that failed, which no other
        # process could rebuild, and some of them word the message themselves.
        Exception.__init__(self, message)
        self.message = message
        self.errno = self._errno
        # What handlers of the SDK's and of requests' errors read.
        self.req_url = ""
        self.req = self.request = self.response = None


class InvalidURLError(AISPipeError, InvalidURLException, ValueError):
    """The URL is not one of an AIStore bucket or object; the message says which part."""

    _errno = errno.EINVAL


class EndpointError(InvalidURLError):
    """The address of the cluster is missing or is not one of an HTTP server."""


class BucketNotFoundError(AISPipeError, ErrBckNotFound, FileNotFoundError):
    """There is no such bucket in the cluster."""

    status_code = 404
    _errno = errno.ENOENT


class RemoteBucketNotFoundError(BucketNotFoundError, ErrRemoteBckNotFound):
    """There is no such bucket behind the cluster (cloud, or another AIStore cluster)."""


class ObjectNotFoundError(AISPipeError, ErrObjNotFound, FileNotFoundError):
    """The bucket is there and has no object of this name."""

    status_code = 404
    _errno = errno.ENOENT


class NoObjectsError(AISPipeError, FileNotFoundError):
    """Nothing begins with a prefix, or a pattern has names without an object, and may not."""

    _errno = errno.ENOENT


class NoObjectsWarning(UserWarning):
    """Nothing begins with a prefix, or a pattern has names without an object."""


class IsFolderError(AISPipeError, IsADirectoryError):
    """A folder, or a bucket, is where an object should be."""

    _errno = errno.EISDIR


class NotAFolderError(AISPipeError, NotADirectoryError):
    """An object is where a folder should be."""

    _errno = errno.ENOTDIR


class AlreadyExistsError(AISPipeError, FileExistsError):
    """There is an object, or a bucket, of this name, and it should be a new one."""

    _errno = errno.EEXIST


class NotEmptyError(AISPipeError, OSError):
    """A bucket that should go has objects."""

    _errno = errno.ENOTEMPTY


class ETLNotFoundError(AISPipeError, ErrETLNotFound, LookupError):
    """The cluster runs no ETL of this name."""

    status_code = 404
    _errno = errno.ENOENT


class ETLFailedError(AISPipeError, RuntimeError):
    """The ETL runs and could make nothing of this object."""


class AuthenticationError(AISPipeError, PermissionError):
    """The cluster asks for a token, or does not accept the one it got."""

    status_code = 401
    _errno = errno.EACCES


class AccessDeniedError(AISPipeError, PermissionError):
    """The token is known and does not allow this."""

    status_code = 403
    _errno = errno.EACCES


class ObjectBusyError(AISPipeError, ErrGETConflict, BlockingIOError):
    """The object is being written right now."""

    status_code = 409
    _errno = errno.EAGAIN


class ObjectChangedError(AISPipeError, OSError):
    """The object was replaced while it was being read."""

    _errno = errno.ESTALE


class IncompleteReadError(AISPipeError, EOFError):
    """The cluster sent fewer bytes than it had announced."""


class CutArchiveError(IncompleteReadError):
    """A shard came whole and ends before the end mark of its tar: so it was stored."""


class IncompleteWriteError(AISPipeError, OSError):
    """The cluster did not store what was sent; what was there before is as it was."""


class ChecksumError(AISPipeError, OSError):
    """The bytes that arrived are not those that the cluster has a checksum of."""


class NoChecksumError(ChecksumError):
    """The bucket keeps no checksums, or of a kind that cannot be compared here."""


class BadArchiveError(AISPipeError, tarfile.ReadError):
    """A shard is no tar archive, or one that cannot be read as samples."""


class DecodingError(AISPipeError, ValueError):
    """A file of a sample cannot be decoded."""


class StateMismatchError(AISPipeError, ValueError):
    """The state of an iteration does not belong to the dataset that is to take it up."""


class ManifestError(AISPipeError, ValueError):
    """The file of a manifest is gone, cut, changed, or no manifest at all."""


class ShardIndexError(AISPipeError, ValueError):
    """The file of a shard index is cut, changed or none, or its shards are others than are read."""


class UnequalStreamsError(AISPipeError, ValueError):
    """The streams that are read together have not equally many files."""


class TooManyErrorsError(AISPipeError, RuntimeError):
    """More objects failed than ``max_errors`` lets a pipe skip."""


class ClusterUnreachableError(AISPipeError, requests.ConnectionError, ConnectionError):
    """Nothing answers at the endpoint, or it hung up."""

    _errno = errno.ECONNREFUSED


class TargetUnreachableError(ClusterUnreachableError):
    """The proxy answers, and the target that it sends to does not: what it has is out of reach."""


class ClusterTimeoutError(AISPipeError, requests.Timeout, TimeoutError):
    """The cluster took longer to answer than the settings allow."""

    _errno = errno.ETIMEDOUT


class CertificateError(AISPipeError, requests.exceptions.SSLError):
    """The cluster's certificate cannot be verified, or it wants one of ours."""


class ClusterError(AISPipeError, OSError):
    """Any other failure that the cluster reports; `status_code` is what it answered."""


CLUSTER_WIDE = (
    AuthenticationError,
    CertificateError,
    ClusterUnreachableError,
    NoChecksumError,
)
"""About the cluster, not about one object: skipping would only empty the epoch."""

RETRYABLE = (IncompleteReadError, ChecksumError, ClusterUnreachableError, ClusterTimeoutError)
"""Reading the same bytes again may succeed; not after a `NoChecksumError`."""

UNREADABLE = (
    BadArchiveError,
    CutArchiveError,
    ETLFailedError,
    InvalidURLError,
    ObjectNotFoundError,
)
"""About one object: it is not there, its name is none, it is no archive, or is cut, or an ETL can
make nothing of it."""
