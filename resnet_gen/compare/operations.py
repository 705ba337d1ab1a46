"""What torch was asked to compute, in the field's words.

A call of an ATen operation becomes an operation with its kernel, stride and arguments, the same
fields that the arithmetic fills. Arguments that the arithmetic has no word for are kept under
torch's names, so that nothing that changes the result is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from resnet_gen.network.layers import Argument, Arguments, Operation, arguments

WITHOUT_EFFECT = {"memory_format", "layout", "device", "pin_memory", "non_blocking", "generator"}

SAME_ORDER = {
    *("view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "expand"),
    *("contiguous", "clone", "alias", "detach", "_to_copy", "lift_fresh"),
}


@dataclass(frozen=True)
class Call:
    """One call: ATen's name for it, every argument by name, and the images that flow through it."""

    name: str  # the in-place form has the name of the other one
    values: dict[str, Any]  # all arguments, defaults too
    traced: tuple[Tensor, ...]  # arguments that come from the images, in their order
    output: Tensor

    @property
    def x(self) -> Tensor:
        """The first of the tensors that come from the images."""
        return self.traced[0]


@dataclass(frozen=True)
class Step:
    """An operation as a layer of a network shows it."""

    operation: Operation | str
    kernel: int | None = None
    stride: int | None = None
    arguments: Arguments = ()


def as_call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Every argument of an ATen call by its name in the schema, however it was given."""
    schema = func._schema.arguments
    values = {a.name: a.default_value for a in schema if a.has_default_value()}
    values |= {a.name: value for a, value in zip(schema, args, strict=False)}
    return values | kwargs


def step_of(call: Call) -> Step:
    """The call in the field's words, or under torch's own name with all that it was given."""
    reader = READERS.get(call.name)
    step = reader(call) if reader else None
    return step or Step(call.name, arguments=_all_arguments(call))


def keeps_order(call: Call) -> bool:
    """Whether the operation only names the same numbers, in the same order, by another shape."""
    x, out = call.x, call.output
    if x.dtype != out.dtype or x.numel() != out.numel():
        return False
    if call.name in SAME_ORDER:
        return True
    if call.name == "slice":
        return x.shape == out.shape and call.values["step"] == 1
    if call.name not in ("t", "transpose", "permute"):
        return False
    dimensions = list(range(x.dim()))
    if call.name == "permute":
        dimensions = [d % x.dim() for d in call.values["dims"]]
    elif call.name == "transpose":
        a, b = call.values["dim0"] % x.dim(), call.values["dim1"] % x.dim()
        dimensions[a], dimensions[b] = dimensions[b], dimensions[a]
    else:
        dimensions.reverse()
    larger = [d for d in dimensions if x.shape[d] != 1]
    return larger == sorted(larger)


def slices_of(call: Call) -> dict[int, tuple[int, int]] | None:
    """Where a slice of rows (dimension 2) or columns (3) starts and its step; None for others."""
    dimension = call.values.get("dim")
    if call.name != "slice" or call.x.dim() != 4 or dimension not in (2, 3):
        return None
    start, length = call.values["start"] or 0, call.x.shape[dimension]
    return {dimension: (start + length if start < 0 else start, call.values["step"])}


def subsample(slices: dict[int, tuple[int, int]]) -> Step:
    """Rows and columns that were each taken by a slice of its own, as one step."""
    (row, down), (column, across) = (slices.get(d, (0, 1)) for d in (2, 3))
    given: dict[str, Argument] = {"offset": _pair((row, column))}
    return _sized(Operation.SUBSAMPLE, None, _pair((down, across)), given)


def _convolution(call: Call) -> Step:
    values, weight = call.values, call.values["weight"]
    kernel, stride = _pair(weight.shape[2:]), _pair(values["stride"])
    given: dict[str, Argument] = {
        "padding": _pair(values["padding"]),
        "dilation": _pair(values["dilation"]),
        "groups": values["groups"],
        "bias": values["bias"] is not None,
    }
    if values["transposed"]:
        given |= {"transposed": True, "output_padding": _pair(values["output_padding"])}
    return _sized(Operation.CONVOLUTION, kernel, stride, given)


def _batch_norm(call: Call) -> Step:
    values = call.values
    running = values.get("running_mean") is not None
    given = arguments(
        eps=values["eps"],
        momentum=values["momentum"],
        statistics="batch" if values.get("training", False) else "running",
        running=running and values.get("running_var") is not None,
        affine=values["weight"] is not None and values["bias"] is not None,
    )
    return Step(Operation.BATCH_NORM, arguments=given)


def _addition(call: Call) -> Step | None:
    if len(call.traced) != 2:
        return None
    given: dict[str, Argument] = {"alpha": call.values["alpha"]}
    if any(x.shape != call.output.shape for x in call.traced):
        given["broadcast"] = True
    return Step(Operation.ADDITION, arguments=arguments(**given))


def _fully_connected(call: Call) -> Step | None:
    values = call.values
    images, weight = values.get("mat1", values["self"]), values["mat2"]
    if images is not call.x or weight is call.x:
        return None
    given: dict[str, Argument] = {"bias": call.name == "addmm"}
    given |= {key: values[key] for key in ("beta", "alpha") if values.get(key, 1) != 1}
    return Step(Operation.FULLY_CONNECTED, arguments=arguments(**given))


def _max_pool(call: Call) -> Step:
    values = call.values
    kernel = _pair(values["kernel_size"])
    stride = _pair(values["stride"] or values["kernel_size"])
    padding = _pair(values["padding"])
    if kernel == 1 and padding == 0:  # the largest of one value is that value
        return _sized(Operation.SUBSAMPLE, None, stride, {"offset": 0})
    given: dict[str, Argument] = {
        "padding": padding,
        "dilation": _pair(values["dilation"]),
        "ceil": values["ceil_mode"],
    }
    return _sized(Operation.MAX_POOL, kernel, stride, given)


def _mean(call: Call) -> Step | None:
    values, x = call.values, call.x
    spatial = list(range(2, x.dim()))  # a reshape may have made one of the two
    dimensions = sorted(d % x.dim() for d in values.get("dim") or [])
    if not spatial or dimensions != spatial or values.get("dtype") is not None:
        return None
    return Step(Operation.AVERAGE_POOL)


def _adaptive_average_pool(call: Call) -> Step | None:
    if call.x.dim() != 4:
        return None
    whole = call.output.numel() == call.x.shape[0] * call.x.shape[1]
    return Step(Operation.AVERAGE_POOL if whole else Operation.ADAPTIVE_POOL)


def _dropout(call: Call) -> Step:
    active = call.values["train"] is not False  # None means that it is
    return Step(Operation.DROPOUT, arguments=arguments(p=call.values["p"], active=active))


def _average_pool(call: Call) -> Step:
    values = call.values
    kernel = _pair(values["kernel_size"])
    stride = _pair(values["stride"] or values["kernel_size"])
    plain = _pair(values["padding"]) == 0 and values["divisor_override"] is None
    if kernel == 1 and plain:
        return _sized(Operation.SUBSAMPLE, None, stride, {"offset": 0})
    if plain and _covers(values["kernel_size"], call.x):
        return Step(Operation.AVERAGE_POOL)
    given: dict[str, Argument] = {
        "padding": _pair(values["padding"]),
        "ceil": values["ceil_mode"],
        "count_include_pad": values["count_include_pad"],
        "divisor": values["divisor_override"],
    }
    return _sized(Operation.AVERAGE_POOL, kernel, stride, given)


def _covers(kernel: Sequence[int], x: Tensor) -> bool:
    """Whether a window is as large as the maps."""
    return list(x.shape[2:]) == (list(kernel) * 2 if len(kernel) == 1 else list(kernel))


def _slice(call: Call) -> Step | None:
    slices = slices_of(call)
    return subsample(slices) if slices else None


def _zero_pad(call: Call) -> Step | None:
    pad = list(call.values["pad"])
    before, after = (pad + [0] * 6)[4:6]
    if call.x.dim() != 4 or any(pad[:4]) or any(pad[6:]) or not (before or after):
        return None
    given = arguments(before=before, after=after, value=call.values["value"])
    return Step(Operation.ZERO_PAD, arguments=given)


def _sized(
    operation: Operation, kernel: Argument, stride: Argument, given: dict[str, Argument]
) -> Step:
    """Layers have room for one number each: what is not square is an argument beside it."""
    sizes: dict[str, int | None] = {}
    for name, value in (("kernel", kernel), ("stride", stride)):
        if isinstance(value, tuple):
            given = {**given, f"{name}_size": value}
        first = value[0] if isinstance(value, tuple) else value
        sizes[name] = first if isinstance(first, int) else None
    return Step(operation, sizes["kernel"], sizes["stride"], arguments(**given))


def _pair(values: Sequence[int]) -> Argument:
    """One number where all are the same: of height and width, as torch is given them."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _all_arguments(call: Call) -> Arguments:
    """What an operation without a word of its own was given, but for tensors."""
    given = {name: _plain(value) for name, value in call.values.items()}
    return arguments(
        **{k: v for k, v in given.items() if v is not None and k not in WITHOUT_EFFECT}
    )


def _plain(value: Any) -> Argument:
    """The value if it is a number, a word or a list of them; None for tensors."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        plain = tuple(_plain(item) for item in value)
        return plain if any(item is not None for item in plain) else None
    return None if value is None or isinstance(value, Tensor) else str(value)


READERS: dict[str, Callable[[Call], Step | None]] = {
    "convolution": _convolution,
    "native_batch_norm": _batch_norm,
    "cudnn_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "relu": lambda call: Step(Operation.RELU),
    "add": _addition,
    "addmm": _fully_connected,
    "mm": _fully_connected,
    "max_pool2d_with_indices": _max_pool,
    "mean": _mean,
    "_adaptive_avg_pool2d": _adaptive_average_pool,
    "avg_pool2d": _average_pool,
    "native_dropout": _dropout,
    "slice": _slice,
    "constant_pad_nd": _zero_pad,
}
