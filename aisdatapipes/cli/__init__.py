"""The ``aisdatapipes`` command: files to and from buckets, shards, checks, a local cluster.

Each module has a group of commands: how they are called, and what they do. None imports more than
the standard library before it is used, so that the command starts at once.
"""

from aisdatapipes.cli.main import main

__all__ = ["main"]
