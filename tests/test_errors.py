"""The family of errors: what each is caught by, and how it travels."""

from __future__ import annotations

import errno
import pickle
import tarfile

import pytest
import requests
from aistore.sdk import errors as sdk
from torch._utils import ExceptionWrapper

from aisdatapipes import errors

NO_ERRORS = {"CLUSTER_WIDE", "RETRYABLE", "UNREADABLE", "NoObjectsWarning"}
CLASSES = [getattr(errors, name) for name in errors.__all__ if name not in NO_ERRORS]

CAUGHT_BY = {
    "AISPipeError": [sdk.AISError],
    "AccessDeniedError": [PermissionError],
    "AlreadyExistsError": [FileExistsError],
    "AuthenticationError": [PermissionError],
    "BadArchiveError": [tarfile.ReadError],
    "BucketNotFoundError": [sdk.ErrBckNotFound, FileNotFoundError],
    "CertificateError": [requests.exceptions.SSLError, requests.ConnectionError],
    "ChecksumError": [OSError],
    "ClusterError": [OSError],
    "ClusterTimeoutError": [requests.Timeout, TimeoutError],
    "ClusterUnreachableError": [requests.ConnectionError, ConnectionError],
    "CutArchiveError": [errors.IncompleteReadError, EOFError],
    "DecodingError": [ValueError],
    "ETLFailedError": [RuntimeError],
    "ETLNotFoundError": [sdk.ErrETLNotFound, LookupError],
    "EndpointError": [errors.InvalidURLError, ValueError],
    "IncompleteReadError": [EOFError],
    "IncompleteWriteError": [OSError],
    "InvalidURLError": [sdk.InvalidURLException, ValueError],
    "IsFolderError": [IsADirectoryError],
    "ManifestError": [ValueError],
    "ShardIndexError": [ValueError],
    "NoChecksumError": [errors.ChecksumError, OSError],
    "NoObjectsError": [FileNotFoundError],
    "NotAFolderError": [NotADirectoryError],
    "NotEmptyError": [OSError],
    "ObjectBusyError": [sdk.ErrGETConflict, BlockingIOError],
    "ObjectChangedError": [OSError],
    "ObjectNotFoundError": [sdk.ErrObjNotFound, FileNotFoundError],
    "RemoteBucketNotFoundError": [sdk.ErrRemoteBckNotFound, sdk.ErrBckNotFound],
    "StateMismatchError": [ValueError],
    "TargetUnreachableError": [requests.ConnectionError, ConnectionError],
    "TooManyErrorsError": [RuntimeError],
    "UnequalStreamsError": [ValueError],
}


def test_every_error_is_public_and_placed() -> None:
    """Each class of the module is exported, tested here and drawn in the tree."""
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    defined -= NO_ERRORS
    assert defined == set(errors.__all__) - NO_ERRORS == set(CAUGHT_BY)
    assert errors.__doc__
    assert all(name in errors.__doc__ for name in defined)


@pytest.mark.parametrize("kind", CLASSES)
def test_handlers_of_old_code_catch_it(kind: type[errors.AISPipeError]) -> None:
    """Each is an `AISError` and what a Python programmer or the SDK's user would catch."""
    error = kind("the message")
    for base in [errors.AISPipeError, sdk.AISError, *CAUGHT_BY[kind.__name__]]:
        assert isinstance(error, base)


@pytest.mark.parametrize("kind", CLASSES)
def test_message_is_the_text(kind: type[errors.AISPipeError]) -> None:
    """The one message is what is printed, and the attributes of the SDK's errors are there."""
    error = kind("the message")
    assert str(error) == error.message == error.args[0] == "the message"
    assert len(error.args) == 1
    assert (error.req_url, error.req, error.response) == ("", None, None)
    assert error.errno in errno.errorcode


@pytest.mark.parametrize("kind", CLASSES)
def test_pickle_keeps_type_and_message(kind: type[errors.AISPipeError]) -> None:
    """An error crosses processes unchanged."""
    error = kind("the message")
    error.status_code = 418
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.status_code) == (kind, "the message", 418)


@pytest.mark.parametrize("kind", CLASSES)
def test_torch_rebuilds_its_type(kind: type[errors.AISPipeError]) -> None:
    """What torch does with a worker's error keeps class, message and status."""
    try:
        raise kind("the message")
    except errors.AISPipeError:
        wrapper = ExceptionWrapper(where="in a worker")
    with pytest.raises(kind, match="the message") as caught:
        wrapper.reraise()
    assert type(caught.value) is kind
    assert caught.value.status_code == kind.status_code


def test_statuses() -> None:
    """The statuses that a class stands for are its own, also without an answer at hand."""
    statuses = {kind.__name__: kind.status_code for kind in CLASSES if kind.status_code}
    assert statuses == {
        "BucketNotFoundError": 404,
        "RemoteBucketNotFoundError": 404,
        "ObjectNotFoundError": 404,
        "ETLNotFoundError": 404,
        "AuthenticationError": 401,
        "AccessDeniedError": 403,
        "ObjectBusyError": 409,
    }


def test_an_unreadable_object_is_no_failing_cluster() -> None:
    """What is about one object says nothing of the cluster, and the other way round."""
    for kind in errors.UNREADABLE:
        assert not issubclass(kind, errors.CLUSTER_WIDE)
    for kind in (*errors.CLUSTER_WIDE, errors.ClusterError, errors.ClusterTimeoutError):
        assert not issubclass(kind, errors.UNREADABLE)
    for kind in (errors.BucketNotFoundError, errors.AccessDeniedError, errors.IncompleteReadError):
        assert not issubclass(kind, errors.UNREADABLE)
