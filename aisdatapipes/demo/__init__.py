"""The demo: real images into AIStore, and two pipelines that train a CNN from there.

Its libraries are an extra, ``pip install 'aisdatapipes[demo]'``; importing this package needs
none of them.
"""

from __future__ import annotations

from importlib.util import find_spec

from aisdatapipes.demo.errors import AccuracyError, DemoError, MissingExtraError

__all__ = ["AccuracyError", "DemoError", "MissingExtraError", "run_demo"]

_LIBRARIES = {"PIL": "pillow", "sklearn": "scikit-learn", "tqdm": "tqdm"}


def run_demo(
    endpoint: str | None = None, images: int | None = None, data: str | None = None
) -> None:
    """Store images in AIStore, train from single files and from tar shards, print a summary.

    Args:
        endpoint: Address of the cluster; default ``$AIS_ENDPOINT``, and without that a local
            cluster for the length of the demo. On any cluster the demo makes two buckets with
            names of its own, and removes them at the end, also when it fails.
        images: Number of images to use, at least 50; default all 1,797. With fewer, the
            accuracy is shown and nothing is required of it. Of `data` any number, about as many
            of each class as its share; default 2,000.
        data: Folder with a folder of PNG and JPEG files for each class, to take in place of
            scikit-learn's digits. It is only read; images become 32 by 32 pixels. Nothing is
            required of the accuracy.

    Raises:
        MissingExtraError: A library of the demo is not installed.
        AccuracyError: Less than 95 % of the held-out images were classified correctly.
        DemoError: `images` is less than 50 or more than there are; `data` has not two classes
            of two images each that can be read; or an epoch did not have as many images as are
            stored.
        AISPipeError: The cluster failed.
        ClusterStartError: The local cluster did not start.
    """
    if missing := [name for module, name in _LIBRARIES.items() if find_spec(module) is None]:
        raise MissingExtraError(
            f"the demo needs {', '.join(missing)}: pip install 'aisdatapipes[demo]'"
        )
    from aisdatapipes.demo.story import tell

    tell(endpoint, images, data)
