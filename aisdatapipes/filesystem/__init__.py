"""The filesystem: buckets for every library that reads and writes by fsspec."""

from aisdatapipes.filesystem.ais_filesystem import AISFileSystem

__all__ = ["AISFileSystem"]
