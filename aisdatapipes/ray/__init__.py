"""Ray Data from AIStore: buckets and tar shards as a `ray.data.Dataset`, read where Ray runs.

The driver lists once, and cuts the objects into read tasks of about equally many bytes. Each task
has the URLs of its own and reads them with the engine of this package, on whatever machine Ray
runs it: several objects in one request, ahead of whoever consumes them.

Every row comes exactly once, also when Ray runs a task again because its worker or its machine is
gone. Ray keeps what such a task had already given, counted in blocks, so a task gives the same
rows in the same order every time. Objects that are replaced meanwhile can break that, as with
every reader of Ray's.

It needs the extra: ``pip install 'aisdatapipes[ray]'``, also on the machines of the cluster.

Example:
    >>> import ray.data
    >>> from aisdatapipes.ray import read_ais
    >>> images = read_ais("ais://caltech256/002.american-flag/")
    >>> images.count()
    2
    >>> sorted(row["bytes"] for row in images.take_all())
    [b'the image 002.american-flag/002_0001.jpg', b'the image 002.american-flag/002_0002.jpg']
"""

from aisdatapipes.ray.reading import read_ais, read_ais_samples

__all__ = ["read_ais", "read_ais_samples"]
