"""Settings of the connection: plain data in one object that pickles into every worker."""

from __future__ import annotations

import os
import re
from dataclasses import Field, dataclass, fields
from random import SystemRandom

__all__ = ["Settings", "is_token"]

# What an HTTP header can carry as one word.
_TOKEN = re.compile(r"[!-~]+")
# One without a state: pauses change no random number of the training, and workers that were
# forked do not all wait for the same time.
_chance = SystemRandom()


@dataclass(frozen=True, repr=False)
class Settings:
    """How long to wait, how often to retry, how much to hold in memory, and how to be let in.

    The defaults report a cluster that is not there within a few seconds, and wait for minutes for
    one that was there: for a node that died, a restart, or objects that move between targets.

    Args:
        connect_timeout_s: Seconds to wait for a connection.
        read_timeout_s: Seconds to wait for the next bytes of an answer.
        max_retries: Retries after the first attempt, of refused, reset and timed-out requests
            and of the statuses 429 and 5xx, as long as all nodes of the cluster are well.
        first_backoff_s: Upper bound in seconds of the first random pause; it doubles.
        max_backoff_s: Upper bound in seconds of every pause.
        retry_deadline_s: Seconds after which a request that fails is not retried any more, as long
            as all nodes are well.
        outage_deadline_s: Seconds that requests wait for a cluster that has answered before and is
            not whole now: a target or proxy does not answer, nodes start, objects move. Until then
            nothing counts as missing. 0 to believe every answer, and to wait for nothing.
        whole_object_bytes: Objects up to this size are read into memory at once; larger ones
            are streamed.
        read_ahead_bytes: Bytes that a streamed object reads at a time, and requests first
            after a jump to another position.
        max_member_bytes: Bytes of the biggest file that is read from a shard that gzip has
            compressed, or that is a sparse one: those can be far bigger than the shard is.
        page_size: Names on a page of a listing; 0 for as many as the bucket's backend gives.

        token: What the cluster knows this job by; default ``$AIS_AUTHN_TOKEN``. It is sent to the
            endpoint only, and shown nowhere: not by ``repr``, in logs or in errors. It is pickled
            into worker processes with the rest.
        token_file: File with the token, alone or as AIStore's command line writes it; default
            ``$AIS_AUTHN_TOKEN_FILE``. It is read again when it changes or when its token is
            refused, so that a job can outlive a token.
        ca_cert: File with the certificate of the authority that signed the cluster's; default
            ``$AIS_CLIENT_CA``, else those that requests trusts.
        client_cert: Files with the certificate and the key that this job shows the cluster;
            default ``$AIS_CRT`` and ``$AIS_CRT_KEY``.
        skip_verify: Do not check the cluster's certificate, and warn once; default
            ``$AIS_SKIP_VERIFY_CRT``. Who is on the way then reads and changes everything.

    Raises:
        ValueError: A number is negative, a time-out, `read_ahead_bytes` or `max_member_bytes` is
            zero, or `token` is empty or no single word.

    Example:
        >>> Settings(read_timeout_s=60)
        Settings(read_timeout_s=60)
    """

    connect_timeout_s: float = 2.0
    read_timeout_s: float = 20.0
    max_retries: int = 2
    first_backoff_s: float = 0.25
    max_backoff_s: float = 4.0
    retry_deadline_s: float = 60.0
    outage_deadline_s: float = 300.0
    whole_object_bytes: int = 8 * 2**20
    read_ahead_bytes: int = 256 * 2**10
    max_member_bytes: int = 2**30
    page_size: int = 0
    token: str | None = None
    token_file: str | os.PathLike[str] | None = None
    ca_cert: str | os.PathLike[str] | None = None
    client_cert: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None
    skip_verify: bool = False

    def __post_init__(self) -> None:
        needed = {"connect_timeout_s", "read_timeout_s", "read_ahead_bytes", "max_member_bytes"}
        for field in fields(self):
            number = getattr(self, field.name)
            if not isinstance(field.default, (int, float)):
                continue
            if number < 0 or (number == 0 and field.name in needed):
                raise ValueError(f"Settings: {field.name} is {number!r}, it must be positive")
        if self.token is not None and not is_token(self.token):
            raise ValueError("Settings: token is empty, or has blanks or letters beyond ASCII")

    def backoff_s(self, attempt: int) -> float:
        """Return a random pause in seconds before the given retry, counted from 1."""
        longest = min(self.max_backoff_s, self.first_backoff_s * 2 ** (attempt - 1))
        return _chance.uniform(0, longest)

    def __repr__(self) -> str:
        # Only what differs from the defaults: torch shows it with every error of a pipe.
        changed = (
            f"{field.name}={self._shown(field)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"Settings({', '.join(changed)})"

    def _shown(self, field: Field[object]) -> str:
        return "..." if field.name == "token" else repr(getattr(self, field.name))


def is_token(text: str) -> bool:
    """Whether a text can be a token: one word, as an HTTP header carries it."""
    return _TOKEN.fullmatch(text) is not None
