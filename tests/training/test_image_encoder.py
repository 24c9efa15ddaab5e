"""The image encoder learns on pictures alone, and the same way for the same seed."""

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.training.picture_vectors import encode_pixels
from shopfuse.training.train_image_encoder import ImageTraining, train_image_encoder

SETTINGS = ImageTraining(looks=20, batch=16)


def _striped_pictures(count: int = 60) -> NDArray[np.uint8]:
    """Two colours, each in one width of stripes, shifted at random."""
    rng = np.random.default_rng(0)
    pixels = np.full((count, 64, 64, 3), 230, np.uint8)
    for picture in range(count):
        width = 4 if picture % 2 else 12
        striped = (np.arange(64) + rng.integers(width)) // width % 2 == 0
        pixels[picture][:, striped] = (200, 40, 40) if picture % 2 else (40, 40, 200)
    return pixels


def test_pictures_of_a_kind_lie_together_and_training_repeats() -> None:
    pixels, nobody = _striped_pictures(), np.zeros((0, 2), np.int64)

    encoder, metrics = train_image_encoder(pixels, nobody, seed=1, settings=SETTINGS)
    again, _ = train_image_encoder(pixels, nobody, seed=1, settings=SETTINGS)

    vectors = encode_pixels(encoder, pixels)
    likeness = vectors @ vectors.T
    assert likeness[::2, ::2].mean() > likeness[::2, 1::2].mean() + 0.2
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert all(torch.equal(encoder.state_dict()[name], value) for name, value in again.state_dict().items())
    assert metrics["image_steps"] > 0
