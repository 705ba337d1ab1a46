"""What a generated file really builds: it is run, and every operation is recorded.

The run is on torch's meta device: real shapes, real parameters, no numbers. Nothing here knows the
spec or the paper, so that a file edited by hand shows what it has become.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_gen.compare.dropout import DropoutsShown
from resnet_gen.compare.operations import (
    Call,
    Step,
    as_call,
    keeps_order,
    slices_of,
    step_of,
    subsample,
)
from resnet_gen.network.layers import Layer, Operation

Watch = Callable[[Layer, Call], None]
WEIGHT_TRANSPOSED = "t"  # how a fully-connected layer takes its weight


def record(model: nn.Module, images: Tensor) -> list[Layer]:
    """The layers that `model` runs on a batch; multiply-adds and sizes are for one image.

    They are those of training. Where evaluation does something else, an argument says so, except
    that batch norms then use their running statistics and dropout does nothing; what only
    evaluation does comes last.

    Raises:
        TypeError: the model returns something else than a tensor.
    """
    if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        model(images)  # a lazy module has no parameters before its first input
    training = _run(model.train(), images)
    evaluation = {layer.name: layer for layer in _run(model.eval(), images)}
    layers = [_in_both(layer, evaluation.pop(layer.name, None)) for layer in training]
    return layers + [
        replace(layer, name=f"{layer.name} in evaluation", parameters=0, multiply_adds=0)
        for layer in evaluation.values()
    ]


def _in_both(training: Layer, evaluation: Layer | None) -> Layer:
    """The layer as training runs it, with what evaluation does otherwise."""
    if evaluation is None:
        change = "left out"
    else:
        expected, found = dict(training.arguments), dict(evaluation.arguments)
        if training.operation == Operation.BATCH_NORM:
            expected["statistics"] = "running"
        elif training.operation == Operation.DROPOUT:
            expected["active"] = False
        if replace(evaluation, arguments=()) != replace(training, arguments=()):
            change = f"{evaluation}, after {' and '.join(evaluation.inputs)}"
        elif expected == found:
            return training
        else:
            change = ", ".join(f"{k} {v}" for k, v in found.items() if expected.get(k) != v)
    return replace(training, arguments=(*training.arguments, ("evaluation", change)))


def follow(model: nn.Module, images: Tensor, watch: Watch, *, without_dropout: bool) -> None:
    """Runs `model` on real images, and shows `watch` each layer as soon as it has run.

    Tensors may be overwritten later, by ReLUs in place.
    """
    _run(model, images, watch, without_dropout=without_dropout)


def _run(
    model: nn.Module, images: Tensor, watch: Watch | None = None, *, without_dropout: bool = False
) -> list[Layer]:
    recorder = _Recorder(model, images, watch)
    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, n=name: recorder.path.append(n)))
        hooks.append(module.register_forward_hook(lambda *_: recorder.leave(), always_call=True))
    try:
        with recorder, DropoutsShown(left_out=without_dropout):
            scores = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(scores, Tensor):
        raise TypeError(f"forward returns a {type(scores).__name__} where scores belong")
    return [*recorder.layers, *recorder.output(scores), *recorder.unused()]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation below autograd, and keeps those that the images pass through."""

    def __init__(self, model: nn.Module, images: Tensor, watch: Watch | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch
        self.layers: list[Layer] = []
        self.path: list[str] = []
        self.batch = images.shape[0]
        self.sources = {id(images): "input"}  # from a tensor's id to its name among inputs
        self.sizes = {name: p.numel() for name, p in model.named_parameters()}
        self.frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        self.parameters = {id(p): {name} for name, p in model.named_parameters()}
        self.history: dict[int, tuple[str, ...]] = {}  # operations that made a weight, by its id
        self.owners = {name.rpartition(".")[0] for name in self.sizes}
        self.counted: set[str] = set()
        self.ordinals: Counter[str] = Counter()
        # What subsampling layers have taken so far: by the layer's name, slices by dimension.
        self.slices: dict[str, dict[int, tuple[int, int]]] = {}
        self.alive: list[Any] = [images]  # an id is only unique while its tensor lives

    def leave(self) -> None:
        self.path.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if outputs:
            values = as_call(func, args, kwargs or {})
            self.alive += [outputs, args]
            self._see(str(func.overloadpacket).removeprefix("aten."), values, outputs)
        return result

    def output(self, scores: Tensor) -> list[Layer]:
        """A layer that says what is returned, where that is not what the last layer computes."""
        source = self.sources.get(id(scores), "nothing that the images pass through")
        if self.layers and source == self.layers[-1].name:
            return []
        channels = _channels(scores)
        return [Layer("output", "output", channels, channels, 1, inputs=(source,))]

    def unused(self) -> list[Layer]:
        """Parameters that no image ever meets."""
        names = [name for name in self.sizes if name not in self.counted]
        return [Layer(n, "unused parameter", 0, 0, 0, parameters=self.sizes[n]) for n in names]

    def _see(self, name: str, values: dict[str, Any], outputs: Sequence[Tensor]) -> None:
        tensors = [a for a in tree_leaves(list(values.values())) if isinstance(a, Tensor)]
        traced = tuple(a for a in tensors if id(a) in self.sources)
        if not traced:
            self._see_weights(name, tensors, outputs)
            return
        call = Call(name.rstrip("_"), values, traced, outputs[0])
        if keeps_order(call):
            source = self.sources[id(call.x)]
            if call.name == "detach" and not source.endswith(", detached"):
                source += ", detached"
            self.sources[id(outputs[0])] = source
            return
        layer = self._merged(call) or self._layer(call, tensors)
        self.layers.append(layer)
        if self.watch:
            self.watch(layer, call)
        self.sources[id(outputs[0])] = layer.name
        for number, output in enumerate(outputs[1:], start=1):
            self.sources[id(output)] = f"{layer.name}, output {number}"

    def _see_weights(self, name: str, tensors: list[Tensor], outputs: Sequence[Tensor]) -> None:
        """Follows parameters through an operation that no image takes part in."""
        used = set().union(*(self.parameters.get(id(a), set()) for a in tensors))
        before = tuple(word for a in tensors for word in self.history.get(id(a), ()))
        for output in outputs:
            self.parameters[id(output)] = used
            self.history[id(output)] = (*before, name)

    def _layer(self, call: Call, tensors: list[Tensor]) -> Layer:
        used = set().union(*(self.parameters.get(id(a), set()) for a in tensors))
        step = step_of(call)
        x, out = call.x, call.output
        fresh = used - self.counted
        self.counted |= used
        inputs = tuple(self.sources[id(t)] for t in call.traced)
        if step.operation == Operation.ADDITION and ("alpha", 1) in step.arguments:
            inputs = tuple(sorted(inputs))  # a + b is b + a
        work = 0
        if step.operation == Operation.CONVOLUTION:
            work = out.numel() // self.batch * call.values["weight"][0].numel()
        elif step.operation == Operation.FULLY_CONNECTED:
            work = out.numel() // self.batch * x.shape[1]
        name = self._name(step.operation, used)
        if slices := slices_of(call):
            self.slices[name] = slices
        return Layer(
            name,
            step.operation,
            in_channels=_channels(x),
            out_channels=_channels(out),
            output_size=_size(out),
            kernel=step.kernel,
            stride=step.stride,
            parameters=sum(self.sizes[p] for p in fresh),
            multiply_adds=work,
            inputs=inputs,
            input_size=_size(x) if x.dim() != 3 else self._size_before(inputs[0]),
            arguments=tuple(sorted({**dict(step.arguments), **self._notes(call, tensors)}.items())),
        )

    def _merged(self, call: Call) -> Layer | None:
        """The last layer again, if it took rows and this call takes their columns."""
        slices, last = slices_of(call), self.layers[-1] if self.layers else None
        before = self.slices.get(last.name) if last else None
        if not (slices and before and last) or slices.keys() & before.keys():
            return None
        if self.sources[id(call.x)] != last.name:
            return None
        self.slices[last.name] = both = before | slices
        self.layers.pop()
        return _with_step(last, subsample(both), _size(call.output))

    def _notes(self, call: Call, tensors: list[Tensor]) -> dict[str, Any]:
        """Arguments beside torch's own, for gradients, frozen or computed weights, and shapes."""
        notes: dict[str, Any] = {}
        if not torch.is_grad_enabled():
            notes["gradient"] = False
        used = set().union(*(self.parameters.get(id(a), set()) for a in tensors))
        if used & self.frozen:
            notes["frozen"] = True
        history = [word for a in tensors for word in self.history.get(id(a), ()) if used]
        if call.name in ("addmm", "mm"):
            if WEIGHT_TRANSPOSED in history:
                history.remove(WEIGHT_TRANSPOSED)
            else:
                history.append("not transposed")
        if history and used:
            notes["weights"] = ", ".join(history)
        if call.output.dim() == 4 and call.output.shape[3] != call.output.shape[2]:
            notes["width"] = call.output.shape[3]
        return notes

    def _size_before(self, source: str) -> int:
        """The size of the maps that a reshape has made one row of."""
        return next((la.output_size for la in self.layers if la.name == source), 1)

    def _name(self, operation: str, used: set[str]) -> str:
        """The name of the module that owns the parameters, else a number within the nearest one."""
        owners = {name.rpartition(".")[0] for name in used}
        if len(owners) == 1 and (owner := owners.pop()):
            self.ordinals[owner] += 1
            again = self.ordinals[owner]
            return owner if again == 1 else f"{owner} ({again})"
        here = self.path[-1] if self.path else ""
        while here and not any(
            owner == here or owner.startswith(f"{here}.") for owner in self.owners
        ):
            here = here.rpartition(".")[0]
        stem = f"{here}." if here else ""
        stem += operation.replace(" ", "_").lower()
        self.ordinals[stem] += 1
        return f"{stem}{self.ordinals[stem]}"


def _with_step(layer: Layer, step: Step, size: int) -> Layer:
    """The layer with another step and output size, keeping what else was noted of it."""
    kept = {k: v for k, v in layer.arguments if k in ("gradient", "frozen", "weights")}
    given = tuple(sorted({**kept, **dict(step.arguments)}.items()))
    return replace(layer, stride=step.stride, output_size=size, arguments=given)


def _channels(tensor: Tensor) -> int:
    return tensor.shape[1] if tensor.dim() > 1 else 0


def _size(tensor: Tensor) -> int:
    return tensor.shape[2] if tensor.dim() > 2 else 1
