"""What a spec means: every layer with its size, parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.network import layers as op
from resnet_gen.network.draft import Draft, Feature
from resnet_gen.network.layers import Layer
from resnet_gen.network.residual import StagePlan, draft_residual
from resnet_gen.network.vgg import draft_vgg
from resnet_gen.read.network_spec import NetworkSpec, VggSpec


@dataclass(frozen=True)
class Network:
    """A spec with its layers, and the stages of its blocks, which VGG does not have."""

    spec: NetworkSpec
    stages: tuple[StagePlan, ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The number of learned values, which running statistics are not among."""
        return op.total(self.layers, "parameters")

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of a forward pass with one image."""
        return op.total(self.layers, "multiply_adds")


def expand(spec: NetworkSpec) -> Network:
    """The network that the spec means."""
    draft, images = Draft(), Feature("input", spec.image_channels, spec.image_size)
    stages: tuple[StagePlan, ...] = ()
    if isinstance(spec, VggSpec):
        draft_vgg(draft, images, spec)
    else:
        stages = draft_residual(draft, images, spec)
    return Network(spec, stages, tuple(draft.layers))
