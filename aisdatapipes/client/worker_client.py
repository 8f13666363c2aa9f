"""A request client of the SDK that DataLoader workers and threads can use at the same time."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

from aistore.sdk.request_client import RequestClient
from aistore.sdk.session_manager import SessionManager
from requests import Session
from tenacity import retry_if_exception_type

__all__ = ["WorkerRequestClient"]


class WorkerRequestClient(RequestClient):
    """Sends requests by a session of its own in every process and every thread.

    For code of your own that reads by the SDK in DataLoader workers; the pipes and datasets of
    this package need none. Address, token, TLS settings, time-outs and retries are those of the
    client it is made from, in spawned workers too, where the SDK's own client falls back to the
    default retries. What of a retry policy does not pickle, as a lambda, is the SDK's default
    there, and so are callbacks.

    Args:
        client: The request client of a bucket or object.

    Example:
        >>> import os
        >>> from aistore.sdk import Client
        >>> bucket = Client(os.environ["AIS_ENDPOINT"]).bucket("caltech256")
        >>> bucket.client = WorkerRequestClient(bucket.client)
        >>> len(list(bucket.list_objects_iter()))
        5

    Source:
        ``WorkerRequestClient`` of AIStore's ``docs/pytorch.md``, removed since. The SDK's sessions
        are one for each process today, which its threads share.
    """

    def __init__(self, client: RequestClient) -> None:
        vars(self).update(vars(client.clone()))
        self.session_manager = _ThreadSessions(client.session_manager)

    @property
    def session(self) -> Session:
        """The session of this thread in this process, made at the first use."""
        return self.session_manager.session

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the client is made of, and of the retries what the SDK would lose."""
        retries = self._retry_manager.retry_config
        tenacious = retries.network_retry
        kinds = getattr(tenacious.retry, "exception_types", None)
        policy = {
            "stop": tenacious.stop,
            "wait": tenacious.wait,
            "reraise": tenacious.reraise,
            "retry": _ByType(kinds) if kinds else None,
        }
        kept = {
            name: part for name, part in policy.items() if part is not None and _can_pickle(part)
        }
        plain = (self.base_url, self.session_manager, self.timeout, self.token)
        return _restore, (*plain, self._response_handler, retries, kept)


class _ByType(retry_if_exception_type):
    """The same condition, which pickles."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _ByType, (self.exception_types,)


def _can_pickle(part: object) -> bool:
    try:
        pickle.dumps(part)
    except (pickle.PicklingError, AttributeError, TypeError):  # what a lambda raises, by version
        return False
    return True


def _restore(*parts: Any) -> WorkerRequestClient:
    *plain, retries, kept = parts
    retries.network_retry = retries.network_retry.copy(**kept)
    return WorkerRequestClient(RequestClient(*plain, retry_config=retries))


class _ThreadSessions(SessionManager):
    """Makes a session for every thread of every process, with the settings of another manager."""

    def __init__(self, manager: SessionManager) -> None:
        vars(self).update(vars(manager))
        self._session_pool = {}
        self._own = threading.local()

    @property
    def session(self) -> Session:
        """The session of this thread; a forked child starts with none."""
        if getattr(self._own, "pid", None) != os.getpid():
            self._own.pid, self._own.session = os.getpid(), self._create_session()
        return self._own.session

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_own"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._own = threading.local()
