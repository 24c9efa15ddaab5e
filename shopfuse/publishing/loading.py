"""Has Triton serve a release: its plain models first, then the ensembles that pin their versions."""

from __future__ import annotations

import time

from shopfuse.core.progress import Progress, silent
from shopfuse.publishing.errors import PublishError
from shopfuse.release.manifest import Manifest
from shopfuse.triton.model_control import ModelControl

LIVE_WITHIN_S = 3.0
READY_WITHIN_S = 10.0  # after Triton said that it has loaded
LOOK_EVERY_S = 0.05


def check_live(control: ModelControl) -> None:
    if not control.is_live(LIVE_WITHIN_S):
        raise PublishError(f"Triton at {control.address} does not answer")


def load_release(control: ModelControl, manifest: Manifest, progress: Progress = silent) -> None:
    """Returns when every version and ensemble of the release answers; versions that served before keep serving."""
    control.load(*sorted({model.model for model in manifest.models.values()}), progress=progress)
    control.load(*sorted(manifest.ensembles.values()), progress=progress)
    give_up = time.monotonic() + READY_WITHIN_S
    while missing := not_ready(control, manifest):
        if time.monotonic() > give_up:
            raise PublishError(f"Triton at {control.address} loaded, but is not ready with {', '.join(missing)}")
        time.sleep(LOOK_EVERY_S)


def not_ready(control: ModelControl, manifest: Manifest) -> list[str]:
    """What of the release does not answer now, such as "text_encoder/2"."""
    ready = {f"{entry.name}/{entry.version}" for entry in control.ready_models()}
    wanted = {f"{model.model}/{model.version}" for model in manifest.models.values()}
    return sorted((wanted | {f"{name}/1" for name in manifest.ensembles.values()}) - ready)
