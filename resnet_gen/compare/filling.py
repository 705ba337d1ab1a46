"""What building a network fills its weights with, read from the calls that fill them.

On the meta device a call such as `normal_(0, std)` draws nothing, and says its distribution
exactly, where drawn values could not tell a deviation from one that is a little larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_gen.compare.operations import as_call
from resnet_gen.network.initialisation import Distribution

Filled = Distribution | str  # a string says what else was done, in torch's names


def filled(build: Callable[[], nn.Module], images: Sequence[int]) -> dict[str, Filled]:
    """What each parameter and buffer of the network that `build` makes begins as.

    `images` is the shape (N, C, H, W) that it takes.
    """
    with torch.device("meta"), _Fillings() as mode:
        model = build()
        if any(nn.parameter.is_lazy(p) for p in model.parameters()):
            with torch.no_grad():  # a lazy module is filled at its first input
                model.eval()(torch.empty(*images))
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: mode.of(tensor) for name, tensor in tensors.items()}


class _Fillings(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers, for each piece of memory, the calls that its present content comes from."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.history: dict[int, list[Filled]] = {}
        self.alive: list[Any] = []  # an id is only unique while its memory lives

    def of(self, tensor: Tensor) -> Filled:
        calls = self.history.get(_memory(tensor), ["nothing"])
        return calls[0] if len(calls) == 1 else ", then ".join(map(str, calls))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = func(*args, **(kwargs or {}))
        values = as_call(func, args, kwargs or {})
        name = str(func.overloadpacket).removeprefix("aten.")
        self.alive += [inputs, result]
        written = [
            values[a.name]
            for a in func._schema.arguments
            if a.alias_info is not None and a.alias_info.is_write
        ]
        for tensor in written:
            if isinstance(tensor, Tensor):
                self._written(name, values, tensor, inputs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        for tensor in made if not written else []:
            if _memory(tensor) not in self.history:
                self.history[_memory(tensor)] = [
                    *(call for source in inputs for call in self.history.get(_memory(source), [])),
                    _distribution(name, values) or name,
                ]
        return result

    def _written(
        self, name: str, values: Mapping[str, Any], tensor: Tensor, inputs: list[Tensor]
    ) -> None:
        drawn = _distribution(name.rstrip("_"), values)
        whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
        if drawn and whole:
            self.history[_memory(tensor)] = [drawn]
            return
        sources = [source for source in inputs if source is not tensor]
        origin = [c for s in sources for c in self.history.get(_memory(s), [])]
        what = f"{name} {drawn}" if drawn else name
        part = "" if whole else f" of {tuple(tensor.shape)}"
        before = self.history.get(_memory(tensor), [])
        self.history[_memory(tensor)] = [*before, *origin, what + part]


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _distribution(name: str, values: Mapping[str, Any]) -> Distribution | None:
    """What a call fills a tensor with, whatever stood in it; None for all other calls."""
    if name == "normal":
        return Distribution("normal", float(values["mean"]), float(values["std"]))
    if name == "uniform":
        return Distribution("uniform", float(values["from"]), float(values["to"]))
    if name == "randn":
        return Distribution("normal", 0.0, 1.0)
    if name == "rand":
        return Distribution("uniform", 0.0, 1.0)
    if name in ("zero", "zeros", "zeros_like"):
        return Distribution("constant", 0.0)
    if name in ("ones", "ones_like"):
        return Distribution("constant", 1.0)
    if name in ("fill", "full"):
        value = values["value" if name == "fill" else "fill_value"]
        return Distribution("constant", float(value)) if isinstance(value, (int, float)) else None
    return None
