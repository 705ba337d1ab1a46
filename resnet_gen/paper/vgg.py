"""What is printed of VGG: specs/paper/vgg.yaml, as tables.py loads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from resnet_gen.paper.forms import Printed

Network = Annotated[str, Field(pattern=r"^VGG-\d+$", description="As the paper calls it: VGG-19.")]
Pixels = Annotated[str, Field(pattern=r"^\d+$", description="Height and width, as printed.")]


class VggConfiguration(Printed):
    """A configuration of VGG: 3×3 convolutions in each of its stages."""

    name: Literal["A", "B", "D", "E"]
    depth: int
    blocks: list[int] = Field(min_length=5, max_length=5)


class VggFlops(Printed):
    """A figure that the text gives of a VGG network, and where."""

    network: Network
    printed: Annotated[str, Field(pattern=r"^\d+\.\d billion$")]
    place: str


class Figure3Stage(Printed):
    """Boxes of Figure 3 that are alike, and the output size that stands beside them."""

    output_size: Pixels
    convolution: Annotated[str, Field(pattern=r"^\d×\d conv, \d+$")]
    times: int = Field(description="How many such boxes there are.")


class Figure3Vgg(Printed):
    """The left column of Figure 3."""

    network: Network
    stages: list[Figure3Stage]
    pool: Annotated[str, Field(pattern=r"^/\d$")]
    last_output_size: Pixels
    head: list[Annotated[str, Field(pattern=r"^fc \d+$")]]


class Vgg(Printed):
    """What is printed of VGG."""

    configurations: list[VggConfiguration]
    flops: list[VggFlops]
    figure3: Figure3Vgg

    def configuration(self, depth: int) -> VggConfiguration | None:
        """The configuration with that many layers."""
        return next((c for c in self.configurations if c.depth == depth), None)

    def flops_of(self, network: str) -> VggFlops | None:
        """The figure of a network: VGG-19."""
        return next((each for each in self.flops if each.network == network), None)
