"""Changes: objects and buckets that are copied, created and removed, within the cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus

from aistore.sdk import errors as sdk

from aisdatapipes.client.connection import bucket_for, client_for
from aisdatapipes.client.responses import reason_of
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translate_error, translated_errors
from aisdatapipes.errors import (
    AISPipeError,
    AlreadyExistsError,
    InvalidURLError,
    ObjectNotFoundError,
)
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.urls import ParsedURL, is_utf8
from aisdatapipes.writing.refusals import written

__all__ = ["copy_object", "create_bucket", "delete_object", "delete_objects", "destroy_bucket"]

_NAMES_PER_JOB = 10_000
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.5


def copy_object(source: ObjectRequest, target: ObjectRequest) -> None:
    """Copy an object to another name or bucket; no byte of it leaves the cluster.

    Args:
        source: What is copied.
        target: The copy, on the same cluster; one that is there is replaced.

    Raises:
        InvalidURLError: They are on two clusters.
        ObjectNotFoundError: There is no such object.
        AISPipeError: The cluster refuses, or gives no answer.
    """
    if source.endpoint != target.endpoint:
        raise InvalidURLError(f"cannot copy {source.label} to another cluster, {target.endpoint}")
    with written(target, "copy to"), _unless_of(target.url, source):
        item = source.sdk_object()
        # As bytes: the SDK has no names that are not UTF-8.
        name = target.sdk_object().uname.encode("utf-8", "surrogateescape")
        bucket_for(source.url, source.endpoint, source.settings).client.request(
            "PUT", path=item._object_path, params={**item.query_params, "object_to": name}
        )


@contextmanager
def _unless_of(target: ParsedURL, source: ObjectRequest) -> Iterator[None]:
    """Have a failure told of the source, unless it is the target's bucket that is missing."""
    try:
        yield
    except sdk.AISError as error:
        if f'://{target.bucket}" does not exist' in reason_of(error):
            raise
        raise translate_error(error, source.url, source.endpoint, "copy") from None


def delete_object(request: ObjectRequest) -> None:
    """Delete an object.

    Raises:
        ObjectNotFoundError: There is no such object.
        AISPipeError: The cluster refuses, or gives no answer: then it may be deleted.
    """
    with translated_errors(request.url, request.endpoint, "delete"):
        request.sdk_object().delete()


def delete_objects(
    bucket: ParsedURL, names: Sequence[str], endpoint: str, settings: Settings
) -> None:
    """Delete many objects of a bucket, and return when they are gone.

    One that is missing is as good as deleted.

    Args:
        bucket: Where they are.
        names: Their names.
        endpoint: Address of the cluster.
        settings: Time-outs and retries.

    Raises:
        AISPipeError: Not all of them could be deleted.
    """
    if not names:
        return
    requests = {name: _request_of(bucket, name, endpoint, settings) for name in names}
    for some in _groups([name for name in names if is_utf8(name)]):
        with translated_errors(bucket, endpoint, "delete from"):
            failure = _run_delete_job(bucket, some, endpoint, settings)
        if failure:  # it tells of one object, and is silent about all others
            _delete_each([requests[name] for name in some])
    # A job gets its names as JSON, which has only those that are text.
    _delete_each([requests[name] for name in names if not is_utf8(name)])


def create_bucket(bucket: ParsedURL, endpoint: str, settings: Settings) -> None:
    """Create a bucket.

    Raises:
        AlreadyExistsError: It is there already.
        InvalidURLError: It is one of a cloud, where AIStore creates none.
        AISPipeError: The cluster refuses, or gives no answer.
    """
    try:
        with translated_errors(bucket, endpoint, "create"):
            bucket_for(bucket, endpoint, settings).create()
    except AISPipeError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        raise AlreadyExistsError(f"{bucket.bucket_url} is there already at {endpoint}") from None


def destroy_bucket(bucket: ParsedURL, endpoint: str, settings: Settings) -> None:
    """Destroy a bucket, with all that it holds.

    Args:
        bucket: Which one; the cluster does not care whether it is empty, the caller has to.
        endpoint: Address of the cluster.
        settings: Time-outs and retries.

    Raises:
        BucketNotFoundError: There is none.
        InvalidURLError: It is one of a cloud, where AIStore destroys none.
        AISPipeError: The cluster refuses, or gives no answer.
    """
    with translated_errors(bucket, endpoint, "destroy"):
        bucket_for(bucket, endpoint, settings).delete()


def _request_of(bucket: ParsedURL, name: str, endpoint: str, settings: Settings) -> ObjectRequest:
    return ObjectRequest(replace(bucket, name=name), endpoint, settings)


def _groups(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _NAMES_PER_JOB):
        yield names[begin : begin + _NAMES_PER_JOB]


def _run_delete_job(
    bucket: ParsedURL, names: Sequence[str], endpoint: str, settings: Settings
) -> str:
    """Return why a job has failed, when it has ended; empty if it has not."""
    job_id = bucket_for(bucket, endpoint, settings).objects(obj_names=list(names)).delete()
    job = client_for(endpoint, settings).job(job_id)
    pause_s = _FIRST_PAUSE_S
    while not (status := job.status()).end_time:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return status.err or ("it was aborted" if status.aborted else "")


def _delete_each(requests: Sequence[ObjectRequest]) -> None:
    for request in requests:
        with suppress(ObjectNotFoundError):
            delete_object(request)
