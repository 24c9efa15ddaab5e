"""The image encoder learns on images alone, on texts and photos where there are some, and alike for the same seed."""

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.training.examples.image_views import Changes, views
from shopfuse.training.models.image_encoder import ImageEncoder, blocks_of
from shopfuse.training.models.image_vectors import encode_pixels
from shopfuse.training.trainers.image_encoder import Images, ImageTraining, train_image_encoder

NOBODY = np.zeros((0, 2), np.int64)
WILD = Changes(smallest_cut=0.6, turn=20.0, stretch=0.2, brightness=0.3, contrast=0.3, saturation=0.3)


def _striped_images(count: int = 60) -> NDArray[np.uint8]:
    """Two colours, each in one width of stripes, shifted at random."""
    rng = np.random.default_rng(0)
    pixels = np.full((count, 64, 64, 3), 230, np.uint8)
    for image in range(count):
        width = 4 if image % 2 else 12
        striped = (np.arange(64) + rng.integers(width)) // width % 2 == 0
        pixels[image][:, striped] = (200, 40, 40) if image % 2 else (40, 40, 200)
    return pixels


def _silent(pixels: NDArray[np.uint8]) -> Images:
    """Each of an item of its own, of which no text is known."""
    return Images(pixels, np.arange(len(pixels)), np.zeros((len(pixels), 4), np.float32), NOBODY)


def test_images_of_a_kind_lie_together_and_training_repeats() -> None:
    pixels, settings = _striped_images(), ImageTraining(looks=20, batch=16)

    encoder, metrics = train_image_encoder(_silent(pixels), seed=1, settings=settings)
    again, _ = train_image_encoder(_silent(pixels), seed=1, settings=settings)

    vectors = encode_pixels(encoder, pixels)
    likeness = vectors @ vectors.T
    assert likeness[::2, ::2].mean() > likeness[::2, 1::2].mean() + 0.2
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert all(torch.equal(encoder.state_dict()[name], value) for name, value in again.state_dict().items())
    assert metrics["image_steps"] > 0


def test_photos_of_an_item_lie_by_its_studio_image() -> None:
    """Ten items of one colour each; photos of eight are learned from, and those of all ten are found."""
    rng = np.random.default_rng(1)
    colours = rng.integers(30, 226, (10, 3))
    owner = np.repeat(np.arange(10), 6)
    pixels = np.clip(colours[owner][:, None, None] + rng.normal(0, 12, (60, 64, 64, 3)), 0, 255).astype(np.uint8)
    texts = np.eye(10, 12, dtype=np.float32)
    known = (np.arange(60) % 6 < 4) | (owner < 2)
    settings = ImageTraining(
        looks=24, batch=16, text_loss=1.0, mixed_share=0.5, small_share=0.7, blocks=1, changes=WILD
    )

    images = Images(pixels[known], owner[known], texts, NOBODY)
    encoder, _ = train_image_encoder(images, seed=0, settings=settings)

    vectors = encode_pixels(encoder, pixels)
    middles = np.stack([vectors[known & (owner == item)].mean(0) for item in range(10)])
    nearest = np.argmax(vectors[~known] @ middles.T, axis=1)
    assert (nearest == owner[~known]).mean() > 0.8


def test_an_encoder_is_as_deep_as_its_weights_say() -> None:
    for blocks in (0, 1, 2):
        weights = ImageEncoder(blocks).state_dict()

        assert blocks_of(weights) == blocks
        ImageEncoder(blocks_of(weights)).load_state_dict(weights)


def test_views_show_the_same_thing_otherwise() -> None:
    pixels = torch.full((40, 64, 64, 3), 128, dtype=torch.uint8)
    pixels[:, :, 32:] = torch.tensor([250, 10, 10], dtype=torch.uint8)

    seen = views(pixels, WILD, 32, torch.Generator().manual_seed(0))

    assert seen.shape == (40, 32, 32, 3)
    assert float(seen.min()) >= 0 and float(seen.max()) <= 255
    red_right = seen[:, 8:24, 24:, 0].mean((1, 2)) > seen[:, 8:24, :8, 0].mean((1, 2))
    assert 8 < int(red_right.sum()) < 32  # about half of them are mirrored
    same = views(pixels, Changes(smallest_cut=1.0, light=0.0), 64, torch.Generator().manual_seed(0))
    assert (same - pixels.float()).abs().amax((1, 2, 3)).min() < 1.0  # unaltered but for the mirror
