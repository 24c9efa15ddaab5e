"""Asks the models of releases on a GPU: how far from the CPU's answers, how fast, how far from what the card allows.

    shopfuse build -w demo --no-publish --target gpu-ort                           # a release in fp32
    shopfuse build -w demo --no-publish --target gpu-ort --precision fp16          # the next one: the seed is the same
    shopfuse build -w demo --no-publish --target gpu-ort --precision int8_static
    python benchmarks/gpu.py demo/releases/r1 demo/releases/r2 demo/releases/r3 > gpu.json
    python benchmarks/gpu.py demo/releases/r1 --provider cpu --seconds 0.1 --batches 1,2    # to try the script itself

Needs numpy and onnxruntime-gpu, not shopfuse: copy this file and the releases to the machine with the GPU. One JSON
document goes to stdout, progress to stderr. What fails, or is not reached in time, is in the document with its reason.
Without a GPU the document says why, and what would have been measured.

The models run on onnxruntime's CUDA provider with the options that Triton gives it, TF32 off, without TensorRT. Their
inputs are the release's golden cases, padded to a bucket. A floor is the time that no program beats on the card: the
bytes of weights, inputs and outputs over its bandwidth, the operations of matrix products over its arithmetic.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]  # tensors by name
Entry = dict[str, Any]  # of the document

# Model -> (sizes of its dynamic axis, the largest batch that Triton sends it). The files take any batch.
MODELS = {"text_encoder": ((16, 64), 32), "image_encoder": ((0,), 32), "fusion_ranker": ((64, 512), 16)}
PARITY_BATCHES = (1, 32)
CATALOGUE = (256, 64)  # batch, length

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# As in the config.pbtxt of gpu-ort. TF32 would round fp32 to 10 bits.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}

INT8_PER_S = {"H200": 1979e12, "H100": 1979e12, "A100": 624e12, "L4": 242e12}  # as the makers print it, not sparse
FLOAT, FLOAT16 = 1, 10  # as ONNX numbers its types
GOLDEN_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8}


@dataclass(frozen=True, slots=True)
class Run:
    gpu: bool
    seconds: float  # of one measurement
    batches: tuple[int, ...]
    ends_at: float  # of time.monotonic()

    def attempt(self, what: str, measure: Callable[..., Any], *arguments: Any) -> Any:
        """What it measured, or {"failed": reason}: a batch too large for the memory must not cost all others."""
        if time.monotonic() > self.ends_at:
            return {"failed": "not reached within --minutes"}
        print(what, file=sys.stderr, flush=True)
        try:
            return measure(*arguments)
        except Exception as error:  # noqa: BLE001  the document has the reason
            reason = f"{type(error).__name__}: {error}"[:400]
            print(f"  failed: {reason}", file=sys.stderr, flush=True)
            return {"failed": reason}


def open_session(model: str | bytes, gpu: bool, options: Any = None) -> Any:
    """Raises RuntimeError where CUDA does not start: onnxruntime would go on with the CPU."""
    options = options or ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers = [(CUDA, CUDA_OPTIONS), CPU] if gpu else [CPU]
    session = ort.InferenceSession(model, options, providers=providers, enable_fallback=False)
    if gpu and session.get_providers()[0] != CUDA:
        raise RuntimeError("onnxruntime cannot start CUDA: no GPU, driver or library of CUDA and cuDNN; see stderr")
    return session


def why_no_gpu() -> str:
    """Empty where there is one. Starts CUDA, so that the memory of a session is measured without CUDA's own."""
    if CUDA not in ort.get_available_providers():
        return f"this onnxruntime has no {CUDA}: pip install onnxruntime-gpu"
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401  brings libraries of CUDA that onnxruntime may not find otherwise
    try:
        ort.preload_dlls()
        open_session(tiny_model("Neg", 1, FLOAT), gpu=True).run(None, {"x0": np.ones(1, np.float32)})
    except Exception as error:  # noqa: BLE001  of whatever kind: it is the reason
        return str(error)[:400]
    return ""


def tiny_model(operator: str, inputs: int, element: int) -> bytes:
    """An ONNX file with one operator, inputs x0, x1 and output y of any shape: onnx.proto's fields by number."""

    def field(number: int, *parts: bytes) -> bytes:  # shorter than 128 bytes
        value = b"".join(parts)
        return bytes([number << 3 | 2, len(value)]) + value

    def tensor(number: int, name: bytes) -> bytes:
        return field(number, field(1, name), field(2, field(1, bytes([8, element]))))

    names = [b"x0", b"x1"][:inputs]
    node = field(1, *(field(1, name) for name in names), field(2, b"y"), field(4, operator.encode()))
    graph = field(7, node, field(2, b"g"), *(tensor(11, name) for name in names), tensor(12, b"y"))
    return bytes([8, 8]) + graph + field(8, bytes([16, 17]))  # format 8, operators of version 17


def timed(call: Callable[[], object], seconds: float, batch: int = 1) -> Entry:
    """Repeated for `seconds`, after a fifth of that for warm-up."""
    times: list[float] = []
    for least, until in ((2, seconds / 5), (3, seconds)):
        times = []
        while len(times) < least or sum(times) < until:
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    median, late = np.percentile(times, [50, 95])
    return {"ms": short(1e3 * median), "ms_p95": short(1e3 * late), "per_s": short(batch / median), "calls": len(times)}


def speed(run: Run, session: Any, inputs: Arrays, copies: bool = False) -> Entry:
    """Inputs and outputs stay in the GPU's memory; with `copies` they are in the CPU's, as in Triton."""
    batch = len(next(iter(inputs.values())))
    if copies:
        return timed(lambda: session.run(None, inputs), run.seconds, batch)
    device, binding = "cuda" if run.gpu else "cpu", session.io_binding()
    for name, values in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(values, device, 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, device)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return timed(call, run.seconds, batch)


def short(value: float) -> float:
    return float(f"{value:.4g}")


def nvidia_smi(field: str) -> Any:
    """A number or text about the GPU that is device 0 here; None where it cannot be asked."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "-i", gpu]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(told) if told.isdecimal() else told


def card_rates(run: Run, card: str) -> Entry:
    """Bytes a second by negating 1 GiB, operations a second by a product of square matrices; int8's as printed for the
    card, since no plain product in onnxruntime reaches it."""
    length, side = (1 << 28, 8192) if run.gpu else (1 << 20, 256)
    square = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    half = square.astype(np.float16)

    def per_s(amount: float, operator: str, element: int, *arguments: NDArray[np.generic]) -> float:
        session = open_session(tiny_model(operator, len(arguments), element), run.gpu)
        inputs = {f"x{place}": values for place, values in enumerate(arguments)}
        return short(1e3 * amount / speed(run, session, inputs)["ms"])

    return {
        "bandwidth": run.attempt("bandwidth", per_s, 8.0 * length, "Neg", FLOAT, np.arange(length, dtype=np.float32)),
        "fp32": run.attempt("fp32 arithmetic", per_s, 2.0 * side**3, "MatMul", FLOAT, square, square),
        "fp16": run.attempt("fp16 arithmetic", per_s, 2.0 * side**3, "MatMul", FLOAT16, half, half),
        "int8": next((rate for name, rate in INT8_PER_S.items() if re.search(rf"\b{name}\b", card)), None),
    }


def golden_cases(path: Path) -> list[Arrays]:
    """The tensors of every case, without a batch axis (the format of safetensors: length, JSON, bytes)."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    cases: dict[str, Arrays] = {}
    for key, tensor in json.loads(content[8:begin]).items():
        if key != "__metadata__":
            first, last = (begin + offset for offset in tensor["data_offsets"])
            values = np.frombuffer(content[first:last], GOLDEN_TYPES[tensor["dtype"]]).reshape(tensor["shape"])
            case, name = key.split("/", 1)
            cases.setdefault(case, {})[name] = values
    return list(cases.values())


def model_inputs(session: Any, cases: list[Arrays], batch: int, size: int) -> Arrays:
    """[batch, ...]: the cases that fit into `size`, the longest first, over and over, padded with zeros."""
    dynamic = [node.name for node in session.get_inputs() if isinstance(node.shape[1], str)]
    if dynamic:
        fitting = [case for case in cases if len(case[dynamic[0]]) <= size] or cases
        cases = sorted(fitting, key=lambda case: -len(case[dynamic[0]]))
    inputs: Arrays = {}
    for node in session.get_inputs():
        rows = [case[node.name] for case in cases]
        if node.name in dynamic:
            rows = [np.concatenate([row, np.zeros((size, *row.shape[1:]), row.dtype)])[:size] for row in rows]
        inputs[node.name] = np.stack(list(itertools.islice(itertools.cycle(rows), batch)))
    return inputs


def work_of(path: str, inputs: Arrays) -> Entry:
    """Of a call with `inputs` [1, ...]: counted by running it on the CPU, each operator as the file has it.

    Weights are read once for a whole batch, but for tables in which rows are looked up.
    """
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are not in the profile
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = open_session(path, gpu=False, options=options)
        outputs = session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    operations, weight_bytes = 0.0, 0
    for node in (event["args"] for event in events if event["name"].endswith("_kernel_time")):
        weight_bytes += 0 if node["op_name"] == "Gather" else int(node["parameter_size"])
        if node["op_name"] in ("MatMul", "Gemm", "Conv"):
            shapes = node["output_type_shape"] + node["input_type_shape"]
            result, left, *right = (next(iter(shape.values())) for shape in shapes)
            summed = np.prod(right[0][1:]) if node["op_name"] == "Conv" else left[-1]  # for one number of the result
            operations += 2.0 * float(np.prod(result)) * float(summed)
    row_bytes = sum(values.nbytes for values in [*inputs.values(), *outputs])
    return {"operations": operations, "row_bytes": row_bytes, "weight_bytes": weight_bytes}


def floors(work: Entry, batch: int, rates: Entry, precision: str) -> Entry:
    """The least ms of a call by either bound; without one whose rate is not known for the card."""
    amounts = {
        "bandwidth": work["weight_bytes"] + batch * work["row_bytes"],
        precision.removesuffix("_static"): work["operations"] * batch,
    }
    known = {name: amount for name, amount in amounts.items() if isinstance(rates[name], float)}
    return {f"{name}_ms": short(1e3 * amount / rates[name]) for name, amount in known.items()}


def differences(session: Any, reference: Any, inputs: Arrays) -> Entry:
    """By output; cosines are of whole rows. Raises ValueError where an answer is no number."""
    found = {}
    answers = session.run(None, inputs), reference.run(None, inputs)
    for node, *both in zip(session.get_outputs(), *answers, strict=True):
        ours, expected = (answer.astype(np.float64).reshape(len(answer), -1) for answer in both)
        if not np.isfinite([ours, expected]).all():
            raise ValueError(f"{node.name} is NaN or infinite")
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(expected, axis=1)
        cosines = (ours * expected).sum(1)[lengths > 0] / lengths[lengths > 0]
        largest, least = np.abs(ours - expected).max(), np.min(cosines, initial=1.0)
        found[node.name] = {"max_abs": short(float(largest)), "cosine_min": round(float(least), 7)}
    return found


def places(session: Any) -> Entry:
    """How many operators CUDA took, and which ones the CPU has: numbers may have to be copied for them."""
    operators: dict[str, Counter[str]] = {CUDA: Counter(), CPU: Counter()}
    for part in session.get_provider_graph_assignment_info():
        operators[part.ep_name].update(node.op_type for node in part.get_nodes())
    return {"cuda": operators[CUDA].total(), "cpu": dict(operators[CPU])}


def measure_model(run: Run, path: str, name: str, precision: str, cases: list[Arrays], rates: Entry) -> Entry:
    sizes, triton_batch = MODELS[name]
    memory = {"before": nvidia_smi("memory.used")}
    session, reference = open_session(path, run.gpu), open_session(path, gpu=False)
    memory["loaded"] = nvidia_smi("memory.used")
    (axis,) = {node.shape[1] for node in session.get_inputs() if isinstance(node.shape[1], str)} or {"size"}
    parity: list[Entry] = []
    for size, batch in itertools.product(sizes, PARITY_BATCHES):
        label, inputs = {axis: size, "batch": batch}, model_inputs(session, cases, batch, size)
        parity.append(label | run.attempt(f"  parity {label}", differences, session, reference, inputs))
    memory[f"after_batch_{PARITY_BATCHES[-1]}"] = nvidia_smi("memory.used")
    entry = {
        "precision": precision,
        "triton_max_batch": triton_batch,
        "operators": run.attempt("  where operators run", places, session),
        "parity_with_cpu": parity,
        "gpu_memory_used_mb": memory,
        "work_of_a_row": {},
        "speed": [],
    }
    for size in sizes:
        work = run.attempt(f"  work of a row, {axis} {size}", work_of, path, model_inputs(session, cases, 1, size))
        entry["work_of_a_row"][f"{axis} {size}"] = work
        for batch in run.batches:
            label, inputs = {axis: size, "batch": batch}, model_inputs(session, cases, batch, size)
            row = {
                "on_device": run.attempt(f"  on device {label}", speed, run, session, inputs),
                "with_copies": run.attempt(f"  with copies {label}", speed, run, session, inputs, True),
                "floor": None if "failed" in work else floors(work, batch, rates, precision),
            }
            entry["speed"].append(label | row)
    if name == "text_encoder":  # a catalogue is encoded back to back
        longer, texts = replace(run, seconds=6 * run.seconds), model_inputs(session, cases, *CATALOGUE)
        entry["catalogue"] = run.attempt(f"  catalogue {CATALOGUE}", speed, longer, session, texts, True)
    return entry


def measure_release(run: Run, folder: Path, manifest: Entry, rates: Entry) -> Entry:
    cases, models = golden_cases(folder / "golden.safetensors"), {}
    for name in (name for name in MODELS if name in manifest["models"]):
        version = manifest["models"][name]
        path = folder / "models" / version["model"] / str(version["version"]) / "model.onnx"
        arguments = run, str(path), name, version["precision"], cases, rates
        models[name] = run.attempt(f"{name}, {version['precision']}", measure_model, *arguments)
    return {key: manifest[key] for key in ("release_id", "target", "text_encoder")} | {"models": models}


def torch_speeds(run: Run) -> list[Entry]:
    """The text encoder "embedded" compiled by torch, TF32 off: with random weights, which changes no time, and without
    its pooling, which favours torch."""
    import torch
    from transformers import BertConfig, BertModel

    device, found = torch.device("cuda" if run.gpu else "cpu"), []
    shape = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)

    def speed_of(model: Callable[..., Any], length: int, batch: int) -> Entry:
        ids = torch.randint(1, 1000, (batch, length), device=device)

        def call() -> None:
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
            if run.gpu:
                torch.cuda.synchronize()

        with torch.inference_mode():
            return timed(call, run.seconds, batch)

    for dtype in (torch.float32, torch.float16):
        plain: torch.nn.Module = BertModel(shape, add_pooling_layer=False)
        model = torch.compile(plain.eval().to(device, dtype), dynamic=True)  # else it compiles for every shape
        for length, batch in itertools.product(MODELS["text_encoder"][0], run.batches):
            label = {"precision": str(dtype), "length": length, "batch": batch}
            found.append(label | run.attempt(f"torch {label}", speed_of, model, length, batch))
    return found


def measure(run: Run, folders: list[Path]) -> Entry:
    manifests = {folder: json.loads((folder / "manifest.json").read_text(encoding="utf-8")) for folder in folders}
    facts = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "onnxruntime": ort.__version__}
    reason = why_no_gpu() if run.gpu else "--provider cpu: figures of no use"
    if run.gpu and reason:
        precisions = {
            str(folder): {name: model["precision"] for name, model in manifest["models"].items() if name in MODELS}
            for folder, manifest in manifests.items()
        }
        return {"gpu": None, "reason": reason} | facts | {"would_measure": precisions, "batches": run.batches}
    card = nvidia_smi("name") or "unknown"
    rates = card_rates(run, card)
    return {
        "gpu": card if run.gpu else None,
        "reason": reason,
        "driver": nvidia_smi("driver_version"),
        "cuda": ort.cuda_version,
        "memory_mb": nvidia_smi("memory.total"),
        **facts,
        "cuda_options": CUDA_OPTIONS,
        "rates_per_s": rates,
        "releases": [
            run.attempt(f"release {folder}", measure_release, run, folder, manifest, rates)
            for folder, manifest in manifests.items()
        ],
        "torch_compile": run.attempt("torch", torch_speeds, run),
    }


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", type=Path, nargs="+", help="folders of releases; precisions are in their manifests")
    parser.add_argument("--provider", choices=("cuda", "cpu"), default="cuda", help="cpu: only to try the script")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement (%(default)s)")
    parser.add_argument("--batches", type=numbers, default="1,8,32,128,256", help="timed ones (%(default)s)")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which nothing is started (%(default)s)")
    options = parser.parse_args()
    for folder in options.releases:
        if not (folder / "manifest.json").is_file():
            parser.error(f"{folder} is no release: it has no manifest.json")
    ends_at = time.monotonic() + 60 * options.minutes
    run = Run(options.provider == "cuda", options.seconds, options.batches, ends_at)
    with contextlib.redirect_stdout(sys.stderr):  # onnxruntime prints what it cannot load
        document = measure(run, options.releases)
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
