"""Object name: the name of an object that knows which bucket it is in."""

from __future__ import annotations

from aisdatapipes.urls import parse_url

__all__ = ["ObjectName"]


class ObjectName(str):
    """The name of an object, a text as any, with the URL beside it.

    So ``name, content = sample`` and torch's collate are what they are for texts, and equal
    names in two buckets can be told apart.

    Args:
        name: The object's name.
        url: Its URL.

    Attributes:
        url: As given.

    Example:
        >>> name = ObjectName("train/1.jpg", "s3://photos/train/1.jpg")
        >>> name == "train/1.jpg", name.bucket
        (True, 's3://photos')
    """

    __slots__ = ("url",)
    url: str

    def __new__(cls, name: str, url: str) -> ObjectName:
        """Return the text, with its URL."""
        self = super().__new__(cls, name)
        self.url = url
        return self

    def __reduce__(self) -> tuple:
        """Return what a copy in another process is made of."""
        return ObjectName, (str(self), self.url)

    @property
    def bucket(self) -> str:
        """URL of the bucket, ``provider://bucket``, with its namespace if it has one."""
        return parse_url(self.url).bucket_url
