"""Programs of Debian that tests start: installed once, by whichever test comes first."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

LOCK = Path(tempfile.gettempdir(), "shopfuse-tests-apt.lock")


def program(name: str, package: str) -> str:
    """The program's path; installs the package where it is missing, which needs root. Packages may be several."""
    with LOCK.open("w") as lock:  # tests of other processes may want the same
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which(name) is None:
            assert os.geteuid() == 0, f"{name} is missing: run `sudo apt-get install {package}`"
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *package.split()]):
                subprocess.run(
                    ["apt-get", "--quiet", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
                )
    path = shutil.which(name)
    assert path is not None, f"the Debian package {package} has no program {name}"
    return path
