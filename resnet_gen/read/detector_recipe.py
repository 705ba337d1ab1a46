"""How a detector is trained: steps, rates, and how many anchors and regions are looked at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from resnet_gen.read.recipe import (
    BatchSize,
    Drops,
    Flip,
    Iterations,
    Momentum,
    Rate,
    WeightDecay,
    rising_drops,
)

DETECTION, LOCALIZATION = "faster_rcnn", "localizer"  # the designs
DEFAULT_DETECTION_RECIPE, DEFAULT_LOCALIZATION_RECIPE = "coco-paper", "localization"

Count = Annotated[int, Field(ge=1, le=100_000)]
Steps = Annotated[
    Literal["joint", "alternating"],
    Field(
        description="joint: the RPN and the regions together, each region's place taken as given. "
        "alternating: the four steps of Ren et al. 2015, as in the paper."
    ),
]
Warmup = Annotated[
    int | None,
    Field(ge=1, le=10**6, description="Iterations in which the rate rises; not the paper's."),
]


RpnBatchSize = Annotated[
    int | None,
    Field(
        ge=1,
        le=10**6,
        description="Images an iteration where alternating training trains the RPN, if others.",
    ),
]


class DetectionRecipe(BaseModel):
    """What trains a detector. In alternating training, iterations and drops are of each step."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(description="What specs call this recipe.", min_length=1, max_length=64)
    design: Literal["faster_rcnn"] = Field(description="The design that it trains.")
    steps: Steps
    iterations: Iterations
    batch_size: BatchSize
    rpn_batch_size: RpnBatchSize = None
    learning_rate: Rate
    drops: Drops
    warmup: Warmup = None
    momentum: Momentum
    weight_decay: WeightDecay
    flip: Flip
    anchors: Count = Field(256, description="Anchors of an image that the RPN is trained on.")
    regions: Count = Field(128, description="Regions of an image that are classified in training.")
    proposals: Count = Field(2000, description="Proposals of an image that these are drawn from.")

    _drops_rise = field_validator("drops")(rising_drops)


class DetectionOverride(BaseModel):
    """A recipe with parts of it changed: `{recipe: voc-paper, iterations: 4000}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recipe: str = Field(description="The recipe to start from.")
    steps: Steps | None = None
    iterations: Iterations | None = None
    batch_size: BatchSize | None = None
    rpn_batch_size: RpnBatchSize = None
    learning_rate: Rate | None = None
    drops: Drops | None = None
    warmup: Warmup = None
    momentum: Momentum | None = None
    weight_decay: WeightDecay | None = None
    flip: Flip | None = None
    anchors: Count | None = None
    regions: Count | None = None
    proposals: Count | None = None


Scale = Annotated[
    list[Annotated[int, Field(ge=224, le=10**5)]],
    Field(
        min_length=2,
        max_length=2,
        description="Least and greatest length of an image's shorter side, for crops of 224.",
    ),
]


class LocalizationRecipe(BaseModel):
    """What trains a localizer, both of its steps alike (appendix C)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(description="What specs call this recipe.", min_length=1, max_length=64)
    design: Literal["localizer"] = Field(description="The design that it trains.")
    iterations: Iterations
    batch_size: BatchSize
    learning_rate: Rate
    drops: Drops
    momentum: Momentum
    weight_decay: WeightDecay
    flip: Flip
    shorter_side: Scale
    anchors: Count = Field(8, description="Anchors of an image that are learned from.")

    _drops_rise = field_validator("drops")(rising_drops)


class LocalizationOverride(BaseModel):
    """A recipe with parts of it changed: `{recipe: localization, iterations: 4000}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recipe: str = Field(description="The recipe to start from.")
    iterations: Iterations | None = None
    batch_size: BatchSize | None = None
    learning_rate: Rate | None = None
    drops: Drops | None = None
    momentum: Momentum | None = None
    weight_decay: WeightDecay | None = None
    flip: Flip | None = None
    shorter_side: Scale | None = None
    anchors: Count | None = None
