"""The building blocks of networks, as Figures 2 and 5 show them."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.draw.branches import Branch, branches
from resnet_gen.draw.columns import halvings
from resnet_gen.errors import Failure, Problem
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer, Operation

LINES = ("solid", "dotted", "dashed")  # the order of blocks: those of Figure 5 first


@dataclass(frozen=True)
class Block:
    """A residual block.

    `steps` are its convolutions in Figure 5's words, and whether a ReLU follows each; `aside` is
    what is done on the shortcut, empty for an identity; `halvings` says how often the image's size
    has been halved.
    """

    network: str
    name: str
    size: int  # height and width in pixels of what comes out
    channels: tuple[int, int]  # of what comes in and of what goes out
    steps: tuple[tuple[str, bool], ...]
    relu: bool  # after the addition
    by: str
    line: str
    aside: str
    multiply_adds: int
    halvings: int

    @property
    def sum(self) -> str:
        """What comes out of the addition: equation 1, or 2 with a projection."""
        return "F(x) + W_sx" if self.by == "projection" else "F(x) + x"


def blocks(network: Network) -> dict[str, Block]:
    """One block of each kind that the network has, by the line of its shortcut.

    Where dimensions grow it is the first block that also strides, if there is one.

    Raises:
        Failure: the network has no shortcuts (exit code 2).
    """
    found: dict[str, Branch] = {}
    for branch in branches(network.layers):
        known = found.setdefault(branch.line, branch)
        if _strides(branch) and not _strides(known):
            found[branch.line] = branch
    if not found:
        message = f"`{network.spec.name}` has no residual blocks: it is plain"
        raise Failure(Problem("block", message, "leave --block out, or name a residual network"))
    return {line: _block(network, found[line]) for line in LINES if line in found}


def _strides(branch: Branch) -> bool:
    return branch.main[0].input_size != branch.addition.output_size


def _block(network: Network, branch: Branch) -> Block:
    relus = {layer.inputs[0] for layer in network.layers if layer.operation == Operation.RELU}
    steps: list[tuple[str, bool]] = []
    for layer in branch.main:
        if layer.operation == Operation.CONVOLUTION:
            steps.append((_words(layer), False))
        elif layer.operation == Operation.RELU and steps:
            steps[-1] = (steps[-1][0], True)
    first, last = branch.main[0], branch.addition
    return Block(
        network.spec.name,
        first.name.rpartition(".")[0],
        last.output_size,
        (first.in_channels, last.out_channels),
        tuple(steps),
        last.name in relus,
        branch.by,
        branch.line,
        _aside(branch),
        sum(layer.multiply_adds for layer in (*branch.main, *branch.aside)),
        halvings(network.spec.image_size, last.output_size),
    )


def _aside(branch: Branch) -> str:
    strides = "".join(f", /{s}" for layer in branch.aside if (s := layer.stride or 1) > 1)
    if branch.by == "projection":
        return ", ".join(_words(la) for la in branch.aside if la.operation == Operation.CONVOLUTION)
    return f"zero padding{strides}" if branch.aside else ""


def _words(layer: Layer) -> str:
    stride = f", /{layer.stride}" if (layer.stride or 1) > 1 else ""
    return f"{layer.kernel}×{layer.kernel}, {layer.out_channels}{stride}"
