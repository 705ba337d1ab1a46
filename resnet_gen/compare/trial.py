"""The same random weights and images for both sides, and what each side makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from resnet_gen.compare.dropout import DropoutsShown
from resnet_gen.compare.reference import Mode, interpret, shapes
from resnet_gen.network.layers import Layer, has_dropout

VALUES = 8  # that a batch norm normalises, at least: of two values there are only signs left


@dataclass(frozen=True)
class Results:
    """What one side computes for a batch of images."""

    outputs: Tensor  # scores in training
    images_gradient: Tensor | None
    gradients: Mapping[str, Tensor | None]
    statistics: Mapping[str, Tensor]  # running ones, after the step
    evaluation: Tensor  # scores with the statistics that the layer list has by then


@dataclass(frozen=True)
class Trial:
    """A network as its layer list says, with random weights, and images (N, C, H, W)."""

    layers: Sequence[Layer]
    images: Tensor
    weights: Mapping[str, Tensor]

    @classmethod
    def of(cls, layers: Sequence[Layer], channels: int, size: int, dtype: torch.dtype) -> Trial:
        """Weights in whose results every mistake shows: no gamma is 1, no beta 0."""
        generator = torch.Generator().manual_seed(0)
        sizes = (layer.output_size for layer in layers if layer.operation == "batch norm")
        smallest = min(sizes, default=VALUES)
        count = max(2, -(-VALUES // smallest**2))
        images = torch.randn(count, channels, size, size, dtype=dtype, generator=generator)
        weights = {}
        for layer in layers:
            for name, shape in shapes(layer).items():
                drawn = torch.rand(shape, dtype=dtype, generator=generator)
                if len(shape) > 1:
                    drawn.sub_(0.5).mul_((24 / drawn[0].numel()) ** 0.5)
                else:
                    drawn += -0.5 if name in ("bias", "running_mean") else 0.5
                weights[f"{layer.name}.{name}"] = drawn
        return cls(layers, images, weights)

    @property
    def cotangent(self) -> Tensor:
        """The gradient of the scores from which both sides go backward."""
        shape = len(self.images), self.layers[-1].out_channels
        return torch.linspace(-1, 1, shape[0] * shape[1], dtype=self.images.dtype).view(shape)

    def nudged(self, amount: float) -> Trial:
        """The same with images that differ by rounding."""
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(self.images.shape, dtype=self.images.dtype, generator=generator)
        return replace(self, images=self.images * (1 + amount * noise))

    def values(self, *, training: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Every layer's output by its name, without gradients, and the new running statistics."""
        mode = Mode(training, {})
        with torch.no_grad():
            return interpret(self.layers, self.weights, self.images, mode), mode.statistics

    def results(self) -> Results:
        """What the layer list computes."""
        found = self.backward(training=True)
        settled, _ = self.settled(found.statistics).values(training=False)
        return replace(found, evaluation=settled[self.layers[-1].name])

    def backward(self, *, training: bool) -> Results:
        """The scores and gradients, and in training the new running statistics."""
        learned = {
            name: value.detach().requires_grad_("running_" not in name)
            for name, value in self.weights.items()
        }
        images, mode = self.images.clone().requires_grad_(), Mode(training, {})
        outputs = interpret(self.layers, learned, images, mode)[self.layers[-1].name]
        outputs.backward(self.cotangent)  # type: ignore[no-untyped-call]
        gradients = {name: value.grad for name, value in learned.items() if value.requires_grad}
        scores = outputs.detach()
        return Results(scores, images.grad, gradients, mode.statistics, evaluation=scores)

    def settled(self, statistics: Mapping[str, Tensor]) -> Trial:
        """The same with the running statistics of a training step.

        With random ones, a deep network's values in evaluation would grow without bound.
        """
        return replace(self, weights={**self.weights, **statistics})


@dataclass(frozen=True)
class Code:
    """The generated network; `names` has its weights' names by those of the layer list.

    Where the layer list has dropout, neither side drops anything; of a list without any, dropout in
    the code is a difference.
    """

    model: nn.Module
    names: Mapping[str, str]

    def give(self, trial: Trial) -> None:
        """Puts the trial's weights in place."""
        tensors = self.model.state_dict(keep_vars=True)
        with torch.no_grad():
            for name, value in trial.weights.items():
                tensors[self.names[name]].copy_(value)

    def scores(self, trial: Trial, *, training: bool, seed: int = 0) -> Tensor:
        """The scores for the trial's images and weights, without gradients."""
        self.give(trial)
        torch.manual_seed(seed)
        with torch.no_grad(), DropoutsShown(left_out=has_dropout(trial.layers)):
            scores: Tensor = self.model.train(training)(trial.images.clone())
        return scores

    def results(self, trial: Trial, settled: Trial) -> tuple[Results, bool]:
        """What the code computes, and whether it left the images as they were."""
        found, unchanged = self.backward(trial, training=True)
        return replace(found, evaluation=self.scores(settled, training=False)), unchanged

    def backward(self, trial: Trial, *, training: bool) -> tuple[Results, bool]:
        """As `Trial.backward`, and whether the images were left as they were."""
        self.give(trial)
        self.model.zero_grad()
        images = trial.images.clone().requires_grad_()
        given = images * 1  # which code may overwrite, as it may not a leaf
        torch.manual_seed(0)
        with DropoutsShown(left_out=has_dropout(trial.layers)):
            outputs: Tensor = self.model.train(training)(given)
        unchanged = torch.equal(given, trial.images)
        if outputs.shape == trial.cotangent.shape and outputs.requires_grad:
            cotangent = trial.cotangent.to(outputs.dtype)
            outputs.backward(cotangent)  # type: ignore[no-untyped-call]
        own = dict(self.model.named_parameters())
        buffers = dict(self.model.named_buffers())
        statistics = {k: buffers[v].clone() for k, v in self.names.items() if v in buffers}
        gradients = {k: own[v].grad for k, v in self.names.items() if v in own}
        scores = outputs.detach()
        return Results(scores, images.grad, gradients, statistics, evaluation=scores), unchanged
