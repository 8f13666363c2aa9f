"""Translation: the table of errors, walked against the SDK's own, and the messages."""

from __future__ import annotations

import inspect
import json
import logging
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import aistore.sdk
import pytest
import requests
import urllib3
from aistore.sdk import errors as sdk
from aistore.sdk.authn import errors as authn

from aisdatapipes import errors
from aisdatapipes.client.translation import ERROR_TABLE, translate_error, translated_errors
from aisdatapipes.urls import parse_url

URL = parse_url("ais://imagenet/a/1.jpg")
ENDPOINT = "http://localhost:8080"

# Raised by calls that this package never makes: writing, jobs, ETL servers, user management.
NOT_RAISED_BY_READING = {
    sdk.ErrBckAlreadyExists,
    sdk.ErrETLAlreadyExists,
    sdk.ETLDirectPutTransientError,
    sdk.InvalidObjectRangeIndex,
    sdk.InvalidPipelineError,
    sdk.JobInfoNotFound,
    authn.ErrClusterAlreadyRegistered,
    authn.ErrClusterNotFound,
    authn.ErrRoleAlreadyExists,
    authn.ErrRoleNotFound,
    authn.ErrUserAlreadyExists,
    authn.ErrUserInvalidCredentials,
    authn.ErrUserNotFound,
}

# Parts of the SDK that need libraries of its own extras.
SDK_EXTRAS = {"aistore.sdk.etl.webserver"}


def sdk_modules() -> Iterator[str]:
    """Yield the names of the SDK's modules."""
    for module in pkgutil.walk_packages(aistore.sdk.__path__, "aistore.sdk."):
        if not any(module.name.startswith(extra) for extra in SDK_EXTRAS):
            yield module.name


def sdk_errors() -> set[type[Exception]]:
    """Return every exception class that the SDK defines."""
    return {
        value
        for module in sdk_modules()
        for value in vars(import_module(module)).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__.startswith("aistore.")
    }


def test_every_sdk_error_is_placed() -> None:
    """A new error of the SDK fails here until somebody decides what it becomes."""
    found = sdk_errors()
    assert found - ERROR_TABLE.keys() - NOT_RAISED_BY_READING == set()
    assert found >= NOT_RAISED_BY_READING, "an error left the SDK: take it out of the list"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "token required", errors.AuthenticationError),
        (403, "access denied", errors.AccessDeniedError),
        (404, 'bucket "az://imagenet" does not exist', errors.BucketNotFoundError),
        (400, 'bucket "ais://imagenet" does not exist', errors.BucketNotFoundError),  # a target
        (404, "az://imagenet/a/1.jpg does not exist", errors.ObjectNotFoundError),
        (404, "something else is not there", errors.ClusterError),
        (404, "failed to lookup bucket az://imagenet, err: no", errors.RemoteBucketNotFoundError),
        (404, 'remote-cluster[u/@a]: bucket "b" does not exist', errors.RemoteBucketNotFoundError),
        (400, 'remote bucket "ais://@a/b" does not exist', errors.RemoteBucketNotFoundError),
        (404, "aws-error[NoSuchBucket: it does not exist]", errors.RemoteBucketNotFoundError),
        (404, "aws-error[NoSuchKey: aws://imagenet/a]", errors.ObjectNotFoundError),
        (500, "gcp-error[storage: bucket doesn't exist: 404]", errors.RemoteBucketNotFoundError),
        (500, "gcp-error[storage: object doesn't exist: 404]", errors.ObjectNotFoundError),
        (400, "the flag does not exist", errors.ClusterError),
        (500, "disk fell out", errors.ClusterError),
    ],
)
def test_status_decides_where_the_sdk_does_not(
    status: int, message: str, kind: type[errors.AISPipeError]
) -> None:
    """A plain `AISError` becomes the class of its status and message; what is missing is a 404."""
    answer = sdk.AISError(status, json.dumps({"message": message}), "", requests.PreparedRequest())
    error = translate_error(answer, URL, ENDPOINT)
    assert type(error) is kind
    assert error.status_code == (kind.status_code or status)


@pytest.mark.parametrize("message", ["aws-error[NotFound: ]", "aws-error[X: it does not exist]"])
def test_a_bucket_that_a_node_looked_for_in_a_cloud_is_missing(message: str) -> None:
    """The cloud's answer need not name the bucket: what the node asked for decides."""
    said = {"message": message, "method": "HEAD", "url_path": "/v1/buckets/b"}
    asked = requests.PreparedRequest()
    error = translate_error(sdk.AISError(404, json.dumps(said), "", asked), URL, ENDPOINT)
    assert type(error) is errors.RemoteBucketNotFoundError


@pytest.mark.parametrize("kind", list(ERROR_TABLE))
def test_every_message_names_the_thing_and_the_cluster(kind: type[Exception]) -> None:
    """Whatever failed, the message holds the bucket and the endpoint."""
    error = kind.__new__(kind)
    text = str(translate_error(error, URL, ENDPOINT))
    assert ENDPOINT in text
    assert "ais://imagenet" in text or issubclass(ERROR_TABLE[kind], ConnectionError)


def test_unknown_errors_pass_unchanged() -> None:
    """A bug is not dressed up as an error of the cluster."""
    with pytest.raises(KeyError), translated_errors(URL, ENDPOINT):
        raise KeyError("a bug")


def test_our_errors_pass_unchanged() -> None:
    """An error that is ours already is not translated twice."""
    original = errors.InvalidURLError("no URL")
    with pytest.raises(errors.InvalidURLError) as caught, translated_errors(URL, ENDPOINT):
        raise original
    assert caught.value is original


def test_the_original_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The user sees one error; the chain behind it is in the log at level DEBUG."""
    caplog.set_level(logging.DEBUG, "aisdatapipes")
    with pytest.raises(errors.IncompleteReadError) as caught, translated_errors(URL, ENDPOINT):
        raise urllib3.exceptions.ProtocolError("cut")
    assert caught.value.__suppress_context__
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_logged_without_its_chain(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A node that knows a token repeats it when it has expired; that stays out of log and error."""
    said = json.dumps({"message": "invalid token [err: token expired]: eyJ0.secret.part"})
    caplog.set_level(logging.DEBUG, "aisdatapipes")
    kind = errors.AuthenticationError if status == 401 else errors.AccessDeniedError
    with pytest.raises(kind) as caught, translated_errors(URL, ENDPOINT):
        raise sdk.AISError(status, said, "", requests.PreparedRequest())
    assert "secret" not in caplog.text + str(caught.value)
