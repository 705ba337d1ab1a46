"""What a generated file really builds: it is imported and run, and every operation is recorded.

The run is on torch's meta device: real shapes, real parameters, no numbers. Nothing here knows the
spec or the paper, so that a file edited by hand shows what it has become.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from resnet_gen.errors import Failure, Problem
from resnet_gen.network import layers as op
from resnet_gen.network.layers import Layer

try:
    import torch
    from torch import Tensor, nn
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError as error:
    raise Failure(
        Problem("torch", f"torch is not installed ({error})", "pip install 'resnet-gen[train]'"),
        exit_code=4,
    ) from None

TRANSPARENT = {  # operations that hand on what they are given
    *("view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "t", "transpose"),
    *("permute", "expand", "contiguous", "clone", "alias", "detach", "_to_copy"),
}
BATCH_NORM_EPS = 1e-5  # torch's, Caffe's and every reference implementation's but Keras's


def measure(path: Path, image_channels: int, image_size: int) -> list[Layer]:
    """The layers of the network in `path` (a model.py), in the order in which they run.

    Raises:
        Failure: there is no such file, or it does not build and run (exit code 2).
    """
    shown = path.as_posix()
    if not path.is_file():
        hint = "make it with `resnet-gen generate`"
        raise Failure(Problem("file", "there is no such file", hint, shown))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the comparison
            return _measure(path, image_channels, image_size)
    except Failure:
        raise
    except (Exception, SystemExit) as error:
        raise Failure(_broken(path, error)) from None


def _measure(path: Path, image_channels: int, image_size: int) -> list[Layer]:
    module = import_file(path)
    names: list[str] = list(getattr(module, "__all__", []))
    if len(names) != 1:
        message = f"__all__ names {len(names)} classes where a generated file names its network"
        raise Failure(Problem("code", message, "", path.as_posix()))
    with torch.device("meta"), torch.no_grad():
        model: nn.Module = getattr(module, names[0])()
        return record(model, torch.empty(2, image_channels, image_size, image_size))


def record(model: nn.Module, images: Tensor) -> list[Layer]:
    """The layers that `model` runs on a batch, in training mode; figures are for one image."""
    recorder = _Recorder(model, images)
    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, n=name: recorder.path.append(n)))
        hooks.append(module.register_forward_hook(lambda *_: recorder.leave(), always_call=True))
    try:
        with recorder:
            scores = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(scores, Tensor):
        raise TypeError(f"forward returns a {type(scores).__name__} where scores belong")
    return [*recorder.layers, *recorder.unused()]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation below autograd, and keeps those that the images pass through."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[Layer] = []
        self.path: list[str] = []
        self.batch = images.shape[0]
        self.sources = {id(images): "input"}  # tensor -> the layer that made it
        self.parameters = {id(p): {name} for name, p in model.named_parameters()}
        self.sizes = {name: p.numel() for name, p in model.named_parameters()}
        self.owners = {name.rpartition(".")[0] for name in self.sizes}
        self.counted: set[str] = set()
        self.ordinals: Counter[str] = Counter()
        self.alive: list[Any] = [images]  # an id is only unique while its tensor lives

    def leave(self) -> None:
        self.path.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        output = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(output, Tensor):
            self.alive += [output, args]
            self._see(str(func.overloadpacket).removeprefix("aten."), args, output)
        return result

    def unused(self) -> list[Layer]:
        """Parameters that no image ever meets."""
        names = [name for name in self.sizes if name not in self.counted]
        return [Layer(n, "unused parameter", 0, 0, 0, parameters=self.sizes[n]) for n in names]

    def _see(self, name: str, args: tuple[Any, ...], output: Tensor) -> None:
        tensors = [a for arg in args for a in (arg if isinstance(arg, (list, tuple)) else [arg])]
        tensors = [a for a in tensors if isinstance(a, Tensor)]
        used = set().union(*(self.parameters.get(id(a), set()) for a in tensors))
        traced = [a for a in tensors if id(a) in self.sources]
        if not traced:
            self.parameters[id(output)] = used
            return
        x = traced[0]
        if name in TRANSPARENT or (name == "slice" and x.shape == output.shape):
            self.sources[id(output)] = self.sources[id(x)]
            return
        layer = self._layer(name.rstrip("_"), args, traced, used, output)
        previous = self.layers[-1] if self.layers else layer
        if layer.operation == previous.operation == op.SUBSAMPLE and layer.inputs == (
            previous.name,
        ):
            layer = _merged(self.layers.pop(), layer)  # rows, then columns
        self.layers.append(layer)
        self.sources[id(output)] = layer.name

    def _layer(
        self,
        name: str,
        args: tuple[Any, ...],
        traced: Sequence[Tensor],
        used: set[str],
        out: Tensor,
    ) -> Layer:
        x = traced[0]
        operation, kernel, stride = _operation(name, args, traced, out)
        fresh = used - self.counted
        self.counted |= used
        work = 0
        if name == "convolution":
            work = out.numel() // self.batch * args[1][0].numel()
        elif name in ("addmm", "mm"):
            work = out.numel() // self.batch * x.shape[1]
        return Layer(
            self._name(operation, used),
            operation,
            in_channels=_channels(x),
            out_channels=_channels(out),
            output_size=out.shape[2] if out.dim() > 2 else 1,
            kernel=kernel,
            stride=stride,
            parameters=sum(self.sizes[p] for p in fresh),
            multiply_adds=work,
            inputs=tuple(self.sources[id(t)] for t in traced),
            input_size=x.shape[2] if x.dim() > 2 else 1,
        )

    def _name(self, operation: str, used: set[str]) -> str:
        """The module that owns the parameters, else a number in the nearest one that has any."""
        here = self.path[-1] if self.path else ""
        if here and any(name.rpartition(".")[0] == here for name in used):
            self.ordinals[here] += 1
            again = self.ordinals[here]
            return here if again == 1 else f"{here} ({again})"
        while here and not any(
            owner == here or owner.startswith(f"{here}.") for owner in self.owners
        ):
            here = here.rpartition(".")[0]
        stem = f"{here}." if here else ""
        stem += operation.split(",", maxsplit=1)[0].replace(" ", "_").lower()
        self.ordinals[stem] += 1
        return f"{stem}{self.ordinals[stem]}"


def _operation(
    name: str, args: tuple[Any, ...], traced: Sequence[Tensor], out: Tensor
) -> tuple[str, int | None, int | None]:
    """The operation in the field's words, its kernel and its stride."""
    x = traced[0]
    if name == "convolution":
        _, weight, _, stride, _, dilation, transposed, _, groups = args
        kernel = weight.shape[2]
        extras = [f"dilated by {dilation[0]}"] if dilation[0] != 1 else []
        extras += [f"in {groups} groups"] if groups != 1 else []
        extras += ["transposed"] if transposed else []
        extras += [f"{kernel}×{weight.shape[3]}"] if kernel != weight.shape[3] else []
        return ", ".join([op.CONVOLUTION, *extras]), kernel, stride[0]
    if name.endswith("batch_norm"):
        eps = args[-1]
        return op.BATCH_NORM if eps == BATCH_NORM_EPS else f"{op.BATCH_NORM}, eps {eps}", None, None
    if name == "add" and len(traced) == 2:
        return op.ADDITION, None, None
    if name == "relu":
        return op.RELU, None, None
    if name in ("addmm", "mm"):
        return op.FULLY_CONNECTED, None, None
    if name == "max_pool2d_with_indices":
        kernels, strides = args[1], args[2]
        padded = len(args) > 3 and args[3][0] == 1
        return op.MAX_POOL if padded else op.CEIL_MAX_POOL, kernels[0], strides[0]
    pooled = x.dim() == 4 and out.numel() == x.shape[0] * x.shape[1]
    if name in ("mean", "_adaptive_avg_pool2d") and pooled:
        return op.AVERAGE_POOL, None, None
    if name == "avg_pool2d":
        kernel = args[1][0]
        stride = args[2][0] if len(args) > 2 and args[2] else kernel
        if kernel == 1:
            return op.SUBSAMPLE, None, stride
        whole = out.shape[2] == 1
        return op.AVERAGE_POOL, None if whole else kernel, None if whole else stride
    if name == "slice" and args[1] in (2, 3):
        return op.SUBSAMPLE, None, args[4] if len(args) > 4 else 1
    if name == "constant_pad_nd":
        channels_before = (args[1] + [0] * 6)[4]
        return op.ZERO_PAD if channels_before == 0 else op.ZERO_PAD_BOTH, None, None
    return name, None, None


def _channels(tensor: Tensor) -> int:
    return tensor.shape[1] if tensor.dim() > 1 else 0


def _merged(rows: Layer, columns: Layer) -> Layer:
    stride = rows.stride if rows.stride == columns.stride else None
    return Layer(
        rows.name,
        op.SUBSAMPLE,
        rows.in_channels,
        columns.out_channels,
        columns.output_size,
        stride=stride,
        inputs=rows.inputs,
        input_size=rows.input_size,
    )


def import_file(path: Path) -> ModuleType:
    """A generated file as a module; a train.py finds the model.py beside it."""
    spec = importlib.util.spec_from_file_location(f"measured_{path.parent.name}", path)
    assert spec and spec.loader, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[spec.name] = module  # dataclasses look for it there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
        del sys.modules[spec.name]
        sys.path.remove(str(path.parent))
        sys.modules.pop("model", None)
    return module


def _broken(path: Path, error: BaseException) -> Problem:
    """Where in the user's file the error arose."""
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    frames = traceback.extract_tb(error.__traceback__)
    own = path.absolute()
    lines = [f.lineno or 0 for f in frames if Path(f.filename).absolute() == own]
    line, column = lines[-1] if lines else 0, 0
    if isinstance(error, SyntaxError) and Path(error.filename or "").absolute() == own:
        line, column, message = error.lineno or 0, error.offset or 0, f"no Python: {error.msg}"
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    excerpt = text[line - 1] if 0 < line <= len(text) else ""
    indent = len(excerpt) - len(excerpt.lstrip())
    width = len(excerpt.strip()) if not column else 1
    column = column or (indent + 1 if line else 0)
    return Problem("code", message, "", path.as_posix(), line, column, width, excerpt)
