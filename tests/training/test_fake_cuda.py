"""Everything that trains or measures runs where a GPU is: no tensor is left behind on the CPU.

Without a GPU, by the fake one of fake_cuda. A new trainer is one line in TRAINERS.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from shopfuse.core.progress import silent
from shopfuse.ranking.labels import Labels
from shopfuse.ranking.tensors import submodels
from shopfuse.training.checkpoints.shop_models import fitted_models
from shopfuse.training.compression.compress import Effort, distill_encoder, prune_encoder
from shopfuse.training.compression.distillation import Distillation, distil, targets_of
from shopfuse.training.compression.ffn_pruning import pruned
from shopfuse.training.compression.shop_texts import shop_texts
from shopfuse.training.compression.token_batches import Tokeniser
from shopfuse.training.data.led_searches import NO_SEARCHES
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.item_inputs import encode_items
from shopfuse.training.examples.labelled_texts import TEST, TRAIN, VALIDATION, LabelExamples
from shopfuse.training.examples.text_pairs import text_pairs
from shopfuse.training.fusion.ranker import METHODS, FusionRanker
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.image_tower import ImageTower, fit_image_tower
from shopfuse.training.models.image_vectors import encode_pixels
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse.training.models.text_head import TextHead
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower, fit_query_tower
from shopfuse.training.models.vision_tower import VisionTower
from shopfuse.training.sequences.fit import SequenceTraining, new_model, train_model
from shopfuse.training.sequences.model import ModelSettings
from shopfuse.training.sequences.sasrec import TRIALS, train_sasrec
from shopfuse.training.sequences.scoring import model_scores
from shopfuse.training.trainers import ranker, ranker_calibration, text_head
from shopfuse.training.trainers.image_encoder import Images, ImageTraining, train_image_encoder
from shopfuse.training.trainers.loop import Hardware, Schedule, best_hardware, fit
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker import RankerTraining, train_ranker
from shopfuse.training.trainers.ranker_choice import list_probabilities
from shopfuse.training.trainers.stacking import fit_level_one, level_one, train_stacking
from shopfuse.training.trainers.subword_encoder import SubwordTraining, train_subword_encoder
from shopfuse.training.trainers.text_head import TextHeadTraining, probabilities_of, train_text_head
from shopfuse.training.trainers.tower_losses import TowerHeads
from shopfuse.training.trainers.tower_vectors import query_vectors, user_vectors
from shopfuse.training.trainers.towers import train_towers
from tests.architecture.house import modules
from tests.training.compression.tiny_encoder import WORDS, write_encoder, write_shop
from tests.training.fake_cuda import CPU, CUDA, DeviceMismatch, fake_cuda
from tests.training.many_names import shop_of_many_names
from tests.training.planted_lists import planted_items, popular_items_are_clicked
from tests.training.random_tensors import random_inputs
from tests.training.random_towers import random_task
from tests.training.sequences.histories import histories, walking_shop

LISTS, ITEMS, SHOP = popular_items_are_clicked(48), planted_items(), walking_shop()
EVERY = np.arange(len(LISTS))
SMALL = ModelSettings(width=16)
QUICK = SequenceTraining(epochs=1, least_steps=0, watched=50)
ROOMS = ("trainers", "compression", "sequences")
ENTRIES = ("train_", "fit", "distil", "prune", "calibrate")  # how the functions begin that learn something


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train_in_the_loop(spoil: Callable[[Tensor], Tensor] = lambda x: x) -> nn.Module:
    """The loop with a module of one layer; `spoil` is what a trainer does with its batch."""
    module, device = nn.Linear(3, 3), best_hardware().device
    batches = [torch.ones(4, 3), torch.zeros(4, 3)]

    def loss(batch: Tensor) -> Tensor:
        return mse_loss(module(spoil(batch.to(device))), batch.to(device))

    fit({"layer": module}, Schedule("train", 2, 2, 0.01, 0.0), lambda _: batches, loss, lambda: float(loss(batches[0])))
    return module


def random_images() -> Images:
    rng = np.random.default_rng(0)
    pixels, owner = rng.integers(0, 256, (24, 64, 64, 3)).astype(np.uint8), np.arange(24) // 2
    return Images(pixels, owner, rng.standard_normal((12, 8)).astype(np.float32), np.array([[0, 1], [2, 3]]))


def train_images(_: Path) -> object:
    settings = ImageTraining(looks=6, batch=8, texts=6, mixed_share=0.5, small_share=0.5, blocks=1)
    return train_image_encoder(random_images(), seed=0, settings=settings)


def train_head(_: Path) -> object:
    rng = np.random.default_rng(0)
    part = np.resize([TRAIN, TRAIN, VALIDATION, TEST], 80).astype(np.int8)
    labels = Labels((("a", "b"), ("a", "c"), ("d", "e")))
    examples = LabelExamples(labels, [""] * 80, rng.integers(0, 3, 80), part, {})
    vectors = rng.standard_normal((80, 12)).astype(np.float32)
    training = TextHeadTraining(candidates=((0, 0.0), (8, 0.5)), epochs=2, batch=16)
    return train_text_head("head", examples, vectors, seed=0, training=training)


def train_subwords(_: Path) -> object:
    pairs = text_pairs(shop_of_many_names(60), NO_SEARCHES, (), (), seed=0)
    return train_subword_encoder(pairs, seed=0, training=SubwordTraining(steps=(3, 3), dims=8, batch=16))


def train_ranking(method: str) -> object:
    settings = RankerTraining(epochs=1, batch=24)
    return train_ranker(method, LISTS, ITEMS, TowerHeads(), seed=0, settings=settings)


def train_level_one(_: Path) -> object:
    return fit_level_one(level_one(FusionRanker("stacking").fusion, LISTS, ITEMS, EVERY), 1e-3)  # type: ignore[arg-type]


def calibrate_ranker(_: Path) -> object:
    judge, positions = FusionRanker("attention").to(CUDA).eval(), PositionTerm().to(CUDA)
    return ranker_calibration.calibrate(judge, positions, LISTS, ITEMS, EVERY)


def calibrate_head(_: Path) -> object:
    return text_head.calibrate(TextHead(12, 3).to(CUDA), np.eye(12, dtype=np.float32), np.arange(12) % 3)


def tiny_teacher(folder: Path) -> tuple[LoadedTextEncoder, Tokeniser]:
    teacher = load_text_encoder(str(write_encoder(folder / "teacher")))
    return teacher, Tokeniser.of(teacher)


def prune_neurons(folder: Path) -> object:
    teacher, tokeniser = tiny_teacher(folder)
    teacher.module.to(CUDA)
    return pruned(teacher, 0.5, [tokens for _, tokens in tokeniser.batches(WORDS[:40])])


def distil_alone(folder: Path) -> object:
    teacher, tokeniser = tiny_teacher(folder)
    student, settings = teacher.module.to(CUDA), Distillation(1, batch=128)
    texts = shop_texts(write_shop(folder / "shop", folder / "teacher"), 200, 0)
    targets, held_out = (targets_of(student, tokeniser, rows) for rows in (texts.training, texts.held_out))
    return distil(student, tokeniser, texts, targets, held_out, seed=0, settings=settings)


def compress(make: Callable[..., object], share: float, folder: Path) -> object:
    shop = write_shop(folder / "shop", write_encoder(folder / "teacher"))
    return make(shop, folder / "small", share, Effort(epochs=0, items=200))


TRAINERS: dict[Callable[..., object], Callable[[Path], object]] = {
    fit: lambda _: train_in_the_loop(),
    train_towers: lambda _: train_towers(random_task()),
    fit_query_tower: lambda _: fit_query_tower(QueryTower(64), random_embeddings(), np.ones((5, 128), np.float32)),
    fit_image_tower: lambda _: fit_image_tower(random_embeddings(), np.ones((5, 128), np.float32)),
    fitted_models: lambda _: fitted_models(np.tile(random_embeddings(), (6, 1)), (), "weighted"),
    train_ranker: lambda _: [train_ranking(method) for method in ("attention", "moe")],
    train_stacking: lambda _: train_stacking(LISTS, ITEMS, seed=0),
    fit_level_one: train_level_one,
    ranker_calibration.calibrate: calibrate_ranker,
    train_image_encoder: train_images,
    train_text_head: train_head,
    train_subword_encoder: train_subwords,
    text_head.calibrate: calibrate_head,
    train_model: lambda _: train_model(SHOP, SMALL, QUICK, seed=0, stage="train"),
    train_sasrec: lambda _: train_sasrec(SHOP, TRIALS[0], QUICK, 0, silent),
    distil: distil_alone,
    pruned: prune_neurons,
    prune_encoder: lambda folder: compress(prune_encoder, 0.5, folder),
    distill_encoder: lambda folder: compress(distill_encoder, 1, folder),
}
# They need a whole shop, and train nothing but by what is in the table.
ABOVE = ("train_shop", "train_content", "train_run")


@pytest.mark.parametrize("reduced", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(
    "trainer", TRAINERS, ids=lambda trainer: f"{trainer.__module__.split('.')[-1]}.{trainer.__name__}"
)
def test_it_trains_on_a_gpu(trainer: Callable[..., object], reduced: bool, tmp_path: Path) -> None:
    with fake_cuda(reduced):
        TRAINERS[trainer](tmp_path)


@pytest.mark.parametrize("method", ["attention", "moe"])
def test_layers_of_a_ranker_would_train_on_a_gpu_too(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker, "Hardware", lambda *_: Hardware(CUDA, torch.bfloat16))  # it asks for the CPU

    with fake_cuda(reduced=True):
        train_ranking(method)


def test_every_trainer_is_in_the_table() -> None:
    missing = [
        f"{module.name}.{name}"
        for module in modules()
        if module.name.startswith(tuple(f"shopfuse.training.{room}." for room in ROOMS))
        for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction)
        if name.startswith(ENTRIES) and name not in ABOVE and function not in TRAINERS
    ]

    assert missing == []


def random_vision_tower() -> nn.Module:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=16)  # type: ignore[arg-type]
    return VisionTower(transformers.ViTModel(config, add_pooling_layer=False), "vit", [0.5] * 3, [0.5] * 3)


def fitted(name: str) -> nn.Module:
    return FITTED.modules[name]


SUBMODELS = submodels(64)
FITTED = fitted_models(np.random.default_rng(0).standard_normal((30, 64)).astype(np.float32), (), "weighted")
SERVED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "item_tower": (lambda: ItemTower(64, 128), "item_tower"),
    "query_tower": (lambda: QueryTower(64), "query_tower"),
    "user_tower": (UserTower, "user_tower"),
    **{f"fitted {name}": (partial(fitted, name), name) for name in ("item_tower", "query_tower", "user_tower")},
    **{f"ranker {method}": (partial(FusionRanker, method), "fusion_ranker") for method in METHODS},
}
OTHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "image_encoder": (lambda: ImageEncoder(1), lambda: torch.randint(0, 256, (2, 64, 64, 3))),
    "vision_tower": (random_vision_tower, lambda: torch.randint(0, 256, (2, 32, 32, 3))),
    "image_tower": (lambda: ImageTower(16), lambda: torch.randn(2, 16)),
    "text_head": (lambda: TextHead(16, 3, 4), lambda: torch.randn(2, 16)),
}


def drawn(draw: Callable[[], Tensor]) -> tuple[Tensor, ...]:
    return (draw(),)


def inputs_of(declared: str) -> tuple[Tensor, ...]:
    return tuple(random_inputs(SUBMODELS[declared], 2, {"candidates": 6}).values())


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    **{name: (make, partial(inputs_of, declared)) for name, (make, declared) in SERVED.items()},
    **{name: (make, partial(drawn, draw)) for name, (make, draw) in OTHERS.items()},
}


def outputs_on(device: torch.device, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        outputs = module.to(device)(*(tensor.to(device) for tensor in inputs))
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_on_a_gpu_what_it_says_on_a_cpu(name: str) -> None:
    torch.manual_seed(0)
    make, draw = MODELS[name]
    module, inputs = make().eval(), draw()
    expected = outputs_on(CPU, module, inputs)

    with fake_cuda():
        outputs = outputs_on(CUDA, module, inputs)
        devices = {output.device for output in outputs}
        actual = [output.cpu() for output in outputs]

    assert devices == {CUDA}
    assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))


def random_embeddings() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)


Arrays = NDArray[np.float32] | tuple[NDArray[np.float32], ...]
MEASURES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Arrays]]] = {
    "query_vectors": (lambda: QueryTower(64), lambda tower: query_vectors(tower, random_embeddings())),
    "user_vectors": (UserTower, lambda tower: user_vectors(tower, LISTS.user_inputs, ITEMS.vectors)),
    "encode_items": (lambda: ItemTower(16, 128), lambda tower: encode_items(tower, random_task().inputs)),
    "encode_pixels": (ImageEncoder, lambda encoder: encode_pixels(encoder, random_images().pixels)),  # type: ignore[arg-type]
    "list_probabilities": (FusionRanker, lambda judge: list_probabilities(judge, LISTS, ITEMS, EVERY)),
    "probabilities_of": (lambda: TextHead(64, 3), lambda head: probabilities_of(head, random_embeddings())),  # type: ignore[arg-type]
    "model_scores": (
        lambda: new_model(SHOP, SMALL, seed=0),
        lambda model: model_scores(model, histories([[1, 2, 3], [4]])),  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("name", MEASURES)
def test_what_measures_a_model_goes_where_the_model_is(name: str) -> None:
    torch.manual_seed(0)
    make, measure = MEASURES[name]
    module = make().eval()
    expected = measure(module)

    with fake_cuda():
        actual = measure(module.to(CUDA))
        device = device_of(module)

    assert device == CUDA
    assert all(np.array_equal(one, other) for one, other in zip(actual, expected, strict=True))


def test_a_fitted_image_tower_needs_no_gpu() -> None:
    with fake_cuda():
        tower = fit_image_tower(random_embeddings(), np.ones((5, 128), np.float32))

    assert device_of(tower) == CPU


def test_a_checkpoint_is_read_as_without_a_gpu(tmp_path: Path) -> None:
    folder = str(write_encoder(tmp_path / "encoder"))
    expected = dict(load_text_encoder(folder).module.named_buffers())

    with fake_cuda():
        actual = dict(load_text_encoder(folder).module.named_buffers())

    assert list(actual) == list(expected) != []
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


# What a trainer may do wrong, and what is said of it.
FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a tensor that is made on the CPU": (
        lambda x: x + torch.ones(3),
        r"aten::add: expected all tensors on one device, got \[4, 3\] on cuda, \[3\] on cpu",
    ),
    "a mask on the CPU": (lambda x: x.masked_fill(torch.zeros(4, 3) > 0, 0.0), "aten::masked_fill: expected all"),
    "places on the GPU in a table on the CPU": (lambda x: torch.eye(3)[x[:, 0].long()], "aten::index: expected all"),
    "a batch that comes back": (lambda x: x.cpu(), "aten::addmm: expected all tensors on one device"),
    "an array of a tensor on the GPU": (lambda x: torch.from_numpy(x.numpy()), "numpy: a tensor on cuda has no array"),
    "an array in disguise": (lambda x: torch.from_numpy(np.asarray(x)), "numpy: a tensor on cuda has no array"),
    "a generator of the CPU": (
        lambda x: x * torch.rand(4, 3, generator=torch.Generator(), device=x.device),
        "rand: a generator of the CPU draws a tensor on cuda",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trainer_that_forgets_the_gpu_is_told_where(fault: str) -> None:
    spoil, told = FAULTS[fault]

    with fake_cuda(), pytest.raises(DeviceMismatch, match=told):
        train_in_the_loop(spoil)


# What a GPU does not mind, though it looks alike.
ALLOWED: dict[str, Callable[[Tensor], Tensor]] = {
    "a number of the CPU": lambda x: x * torch.tensor(2.0),
    "places on the CPU in a table on the GPU": lambda x: x[torch.arange(4)],
    "a constant beside it": lambda x: x + torch.arange(3, device=x.device),
    "a draw that is moved": lambda x: x * torch.rand(4, 3, generator=torch.Generator()).to(x.device),
    "an array of a copy": lambda x: torch.from_numpy(x.cpu().numpy()).to(x),
    "what torch makes itself": lambda x: x + nn.functional.one_hot(x[:, 0].long(), 3),
}


@pytest.mark.parametrize("habit", ALLOWED)
def test_what_a_gpu_does_not_mind_passes(habit: str) -> None:
    with fake_cuda():
        layer = train_in_the_loop(ALLOWED[habit])

    assert device_of(layer) == CPU  # the loop gives it back


def test_the_fake_is_over_when_it_is_left() -> None:
    with fake_cuda():
        on_gpu = torch.ones(3, device=CUDA)

    assert on_gpu.device == CPU
    assert best_hardware().device.type == ("cuda" if torch.cuda.is_available() else "cpu")
