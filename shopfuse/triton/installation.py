"""Finds the Triton inside the pip package nvidia-pytriton and lays out what it needs to run with our backend.

Files are copied, not linked: Triton refuses a backend library that resolves to outside its backend directory. So they
must lie where libraries may be loaded from, which a tmpfs of Docker is not by itself.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from shopfuse.triton.errors import TritonMissingError, TritonStartError

OUR_BACKENDS = Path(__file__).parent / "backends"
STUB = "triton_python_backend_stub"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the parts of one installed Triton are."""

    server: Path
    python_backend: Path
    stub: Path
    caches: Path
    libraries: Path


def find_installation() -> Installation:
    """The Triton of this Python environment; raises TritonMissingError with what to install."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise TritonMissingError(
            "no local Triton here: install it with `pip install 'shopfuse[triton]'`, or name a remote one"
        )
    package = Path(spec.origin).parent
    triton = package / "tritonserver"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    installation = Installation(
        server=triton / "bin" / "tritonserver",
        python_backend=triton / "backends" / "python",
        stub=triton / "python_backend_stubs" / python / STUB,
        caches=triton / "caches",
        libraries=package.parent / "nvidia_pytriton.libs",
    )
    if not installation.stub.is_file():
        has = sorted(path.name for path in installation.stub.parent.parent.glob("*"))
        raise TritonMissingError(f"nvidia-pytriton at {package} has no part for Python {python}, only for {has}")
    return installation


def assemble_backends(installation: Installation, directory: Path) -> None:
    """Makes a directory with Triton's Python backend, its stub for this Python, and our backends."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    if os.statvfs(directory.parent).f_flag & os.ST_NOEXEC:
        raise TritonStartError(
            f"{directory.parent} is mounted noexec, and Triton loads its backends from there: mount it with exec "
            "(Docker: --tmpfs /tmp:exec), or let TMPDIR name another folder"
        )
    shutil.copytree(installation.python_backend, directory / "python", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(installation.stub, directory / "python" / STUB)
    for model in OUR_BACKENDS.glob("*/model.py"):
        target = directory / model.parent.name
        shutil.copytree(model.parent, target, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))


def environment(installation: Installation) -> dict[str, str]:
    """The environment in which the server's Python processes see the packages of this one.

    They embed Python and find its packages beside the first `python3` on PATH; the one for 3.11 ignores PYTHONPATH.
    Without this they silently take another Python's packages, possibly a NumPy that they cannot read.
    """
    packages = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(packages)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": os.pathsep.join([str(installation.libraries), *libpython_directory()]),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


def libpython_directory() -> list[str]:
    """The folder of this Python's shared library where it has one; else the system's loader must find one."""
    directory = Path(sysconfig.get_config_var("LIBDIR") or "")
    return [str(directory)] if (directory / (sysconfig.get_config_var("INSTSONAME") or "libpython")).is_file() else []
