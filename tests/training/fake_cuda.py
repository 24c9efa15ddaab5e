"""A GPU that is not there: inside `fake_cuda()` tensors compute on the CPU, with real values, and say they are on CUDA.

What a GPU would refuse raises DeviceMismatch: an operation over tensors of both devices, a NumPy array of a CUDA
tensor, a generator of the CPU that draws one. Losses in bfloat16 are computed in that of the CPU. torch's own fake
tensors (FakeTensorMode) know devices but have no values: a training that looks at its losses, or goes through NumPy,
cannot run on them.

A tensor is on CUDA where its storage is, so that views and parameters need no care. What torch itself makes inside a
call on CUDA tensors, a backward pass among them, is there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
META = torch.device("meta")  # shapes without values, which checkpoints are read into; it stays what it is
_MOVES = {Tensor.cpu: CPU, Tensor.cuda: CUDA, Tensor.to: None}
_ALIASES = (torch.as_tensor, torch.asarray)  # of what they are given, where the device is the same
_TO_NUMPY = (Tensor.numpy, Tensor.__array__)
_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class DeviceMismatch(RuntimeError):
    """What a GPU would refuse."""


@contextmanager
def fake_cuda(reduced: bool = False) -> Iterator[None]:
    """`best_hardware()` finds a GPU; with `reduced` it computes losses in bfloat16."""
    devices, autocast = _Devices(), torch.autocast

    def on_cpu(_device: str, dtype: torch.dtype | None = None, enabled: bool = True) -> torch.autocast:
        return autocast("cpu", dtype=torch.bfloat16, enabled=enabled and reduced)

    with (
        patch.object(torch.cuda, "is_available", lambda: True),
        patch.object(torch.cuda, "is_bf16_supported", lambda: True),
        patch.object(torch.cuda, "current_device", lambda: 0),
        patch.object(torch, "autocast", on_cpu),
        _Calls(devices),
        _Operations(devices),
    ):
        yield


class _Devices:
    """Which storages are on CUDA. Their weak references are held, so that no other storage gets the address."""

    def __init__(self) -> None:
        self._on_cuda: set[StorageWeakRef] = set()
        self.here = CPU  # where torch makes what it needs inside the call that runs

    def of(self, tensor: Tensor) -> torch.device:
        if tensor.is_meta:
            return META
        return CUDA if tensor.layout == torch.strided and self._key(tensor) in self._on_cuda else CPU

    def put(self, tensor: Tensor, device: torch.device) -> None:
        if tensor.layout == torch.strided:
            (self._on_cuda.add if device.type == "cuda" else self._on_cuda.discard)(self._key(tensor))

    def any_on_cuda(self, values: object) -> bool:
        return any(self.of(tensor) == CUDA for tensor in _tensors(values))

    def _key(self, tensor: Tensor) -> StorageWeakRef:
        return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every operation, those of autograd and optimisers too: its tensors are on one device."""

    def __init__(self, devices: _Devices) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._devices = devices

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        device = self._device(operation._schema.name, args, kwargs)
        result = operation(*args, **kwargs)
        given = {id(tensor) for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(result):
            if id(tensor) not in given:
                self._devices.put(tensor, device)
        return result

    def _device(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
        """Numbers of the CPU, tensors without axes, go with tensors on CUDA; so do places to look up in them."""
        tensors = _tensors((args, kwargs))
        if not tensors:
            return self._devices.here
        if name == "aten::copy_" or not self._devices.any_on_cuda(tensors):
            return self._devices.of(tensors[0])
        if any(isinstance(value, torch.Generator) for value in kwargs.values()):
            raise DeviceMismatch(f"{name}: a generator of the CPU draws a tensor on cuda")
        judged = _tensors((args[:1], args[2:])) if name in _INDEXED else tensors
        if any(tensor.ndim and self._devices.of(tensor) == CPU for tensor in judged):
            places = ", ".join(f"{list(tensor.shape)} on {self._devices.of(tensor).type}" for tensor in tensors)
            raise DeviceMismatch(f"{name}: expected all tensors on one device, got {places}")
        return CUDA


class _Calls(TorchFunctionMode):
    """What Python calls: where tensors are made and moved, and what they say of their device."""

    def __init__(self, devices: _Devices) -> None:
        super().__init__()
        self._devices = devices
        self._answers: dict[Any, Callable[[Tensor], object]] = {
            Tensor.device.__get__: devices.of,
            Tensor.is_cuda.__get__: lambda tensor: devices.of(tensor) == CUDA,  # type: ignore[attr-defined]
            Tensor.is_cpu.__get__: lambda tensor: devices.of(tensor) == CPU,  # type: ignore[attr-defined]
        }

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, devices = dict(kwargs or {}), self._devices
        if function in self._answers:
            return self._answers[function](args[0])
        if function in _TO_NUMPY and devices.of(args[0]) == CUDA:
            raise DeviceMismatch("numpy: a tensor on cuda has no array, copy it to the CPU first")
        if function in _MOVES:
            return self._moved(function, args, kwargs)
        wanted = kwargs.get("device")
        if wanted is None or torch.device(wanted) == META:
            return self._called(function, args, kwargs)
        device = torch.device(wanted)
        if device.type == "cuda" and kwargs.get("generator") is not None:
            raise DeviceMismatch(f"{function.__name__}: a generator of the CPU draws a tensor on cuda")
        made = self._called(function, args, kwargs | {"device": CPU})
        if function in _ALIASES and isinstance(args[0], Tensor):
            return self._to(made, device)
        devices.put(made, device)
        return made

    def _called(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        devices, before = self._devices, self._devices.here
        devices.here = CUDA if devices.any_on_cuda((args, kwargs)) else CPU
        try:
            result = function(*args, **kwargs)
            if function is Tensor.__deepcopy__:  # copies the storage, which is no operation
                devices.put(result, devices.here)
            return result
        finally:
            devices.here = before

    def _moved(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensor, *others = args
        devices = [
            self._devices.of(value) if isinstance(value, Tensor) else torch.device(value)
            for value in (*others, kwargs.pop("device", None))
            if isinstance(value, str | torch.device | Tensor)
        ]
        moved = self._to(tensor, _MOVES[function] or (devices or [self._devices.of(tensor)])[0])
        rest: list[Any] = [
            CPU if isinstance(value, str | torch.device) else value for value in others
        ]  # its type, perhaps
        return moved.to(*rest, **kwargs) if function is Tensor.to and (rest or kwargs) else moved

    def _to(self, tensor: Tensor, device: torch.device) -> Tensor:
        if self._devices.of(tensor).type == device.type:
            return tensor
        moved: Tensor = _Move.apply(tensor, device, self._devices)  # type: ignore[no-untyped-call]
        return moved


class _Move(torch.autograd.Function):
    """A copy on the other device, and its gradient back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, device: torch.device, devices: _Devices) -> Tensor:
        ctx.origin, ctx.devices = devices.of(tensor), devices
        moved = tensor.clone()
        devices.put(moved, device)
        return moved

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        returned = gradient.clone()
        ctx.devices.put(returned, ctx.origin)
        return returned, None, None


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
