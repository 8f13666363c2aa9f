"""Users' scripts: functions of test modules, each in a Python of its own.

Only so is seen how a process ends whose libraries have threads of their own, and no setting of
the tests reaches it, as a filter of warnings.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from support.torchrun import TESTS

_TIMEOUT_S = 120


def run_as_user(work: Callable[..., Any], *arguments: Any, endpoint: str, first: str = "") -> Any:
    """Call a function of a module there; return what it returns.

    Args:
        work: The function; an exception, or an end that is not clean, fails the test.
        *arguments: For it, as JSON has them; what it returns likewise.
        endpoint: The cluster that ``ais://`` means to it.
        first: A folder that is before all others on its path.

    Raises:
        AssertionError: It failed, or its process did not end in good order.
    """
    path = [first, str(TESTS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", __name__, work.__module__, work.__name__, json.dumps(arguments)],
        env={
            **os.environ,
            "AIS_ENDPOINT": endpoint,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        },
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    module, name, arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    sys.stdout.write(f"\n{json.dumps(result)}\n")
