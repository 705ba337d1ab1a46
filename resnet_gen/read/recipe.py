"""A training recipe: the constants of section 4.2 or 3.4, all counted in iterations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

EVALUATE_EVERY = {"cifar": 1_000, "imagenet": 5_000}  # iterations; not the paper's choice

Iteration = Annotated[int, Field(ge=1, le=10**9)]
Iterations = Annotated[Iteration, Field(description="Updates of the weights, in all.")]
BatchSize = Annotated[int, Field(ge=1, le=10**6, description="Images an iteration.")]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False, description="A learning rate.")]
Drops = Annotated[
    list[Iteration],
    Field(max_length=16, description="Iterations at which the rate is divided by 10."),
]
Momentum = Annotated[
    float, Field(ge=0, lt=1, allow_inf_nan=False, description="Momentum, not Nesterov's.")
]
WeightDecay = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="On every parameter.")
]
Padding = Annotated[
    int, Field(ge=0, le=64, description="Pixels added on each side before the random crop.")
]
Flip = Annotated[bool, Field(description="Mirror half of the training images, at random.")]
Validation = Annotated[
    int, Field(ge=1, le=10**9, description="Training images kept aside for validation.")
]
Patience = Annotated[
    int,
    Field(ge=1, le=10**6, description="Validations without a lower error, before the rate drops."),
]
ShorterSide = Annotated[
    list[Annotated[int, Field(ge=224, le=10**5)]],
    Field(
        min_length=2,
        max_length=2,
        description="Least and greatest length of an image's shorter side, for crops of 224.",
    ),
]
Colour = Annotated[
    float,
    Field(
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="Standard deviation of the colour augmentation; 0: none.",
    ),
]
Percent = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False)]


class Warmup(BaseModel):
    """A smaller learning rate at the start, until the network has begun to learn."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    learning_rate: Rate
    until_training_error: Percent = Field(
        description="The warm-up ends when the training error, in percent, is below this."
    )


def rising_drops(drops: list[int], info: ValidationInfo) -> list[int]:
    """The drops, if they rise and end before the iterations do."""
    iterations = info.data.get("iterations", 10**9)
    if drops != sorted(set(drops)) or (drops and drops[-1] >= iterations):
        message = f"{drops} must rise and end before iteration {iterations}"
        halves = [iterations // 2, iterations * 3 // 4]
        hint = f"section 4.2's stand at 1/2 and 3/4 of the iterations: write `drops: {halves}`"
        hint = hint if iterations >= 4 else "write `drops: []`"
        raise PydanticCustomError("drops", "{message}", {"message": message, "hint": hint})
    return drops


class Recipe(BaseModel):
    """What both designs have: SGD with momentum, counted in iterations."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(description="What specs call this recipe.", min_length=1, max_length=64)
    iterations: Iterations
    batch_size: BatchSize
    learning_rate: Rate
    momentum: Momentum
    weight_decay: WeightDecay
    flip: Flip


class CifarRecipe(Recipe):
    """Section 4.2: a stepped schedule, random crops of padded images."""

    design: Literal["cifar"] = Field(description="The design that it trains.")
    drops: Drops
    padding: Padding
    validation: Validation
    warmup: Warmup | None = Field(None, description="A smaller learning rate to begin with.")

    _drops_rise = field_validator("drops")(rising_drops)


class ImagenetRecipe(Recipe):
    """Section 3.4: random scales, crops and colours; the rate drops at a plateau, or as planned."""

    design: Literal["imagenet"] = Field(description="The design that it trains.")
    drops: Drops | None = None
    patience: Patience | None = None
    shorter_side: ShorterSide
    colour: Colour

    @field_validator("drops")
    @classmethod
    def _drops_rise(cls, drops: list[int] | None, info: ValidationInfo) -> list[int] | None:
        return None if drops is None else rising_drops(drops, info)

    @field_validator("patience")
    @classmethod
    def _planned_or_at_a_plateau(cls, patience: int | None, info: ValidationInfo) -> int | None:
        if patience is not None and info.data.get("drops") is not None:
            message = "the rate drops at a plateau (`patience`) or as planned (`drops`), not both"
            hint = "write `patience: null`, or leave `drops` away"
            raise PydanticCustomError("patience", "{message}", {"message": message, "hint": hint})
        return patience

    @field_validator("shorter_side")
    @classmethod
    def _a_range(cls, sides: list[int]) -> list[int]:
        if sides[0] > sides[1]:
            context = {"message": f"{sides} do not rise", "hint": "section 3.4 has [256, 480]"}
            raise PydanticCustomError("shorter_side", "{message}", context)
        return sides


RECIPES: dict[str, type[CifarRecipe] | type[ImagenetRecipe]] = {
    "cifar": CifarRecipe,
    "imagenet": ImagenetRecipe,
}


class RecipeOverride(BaseModel):
    """A recipe with parts of it changed: `{recipe: cifar-paper, iterations: 32000}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recipe: str = Field(description="The recipe to start from.")
    iterations: Iterations | None = None
    batch_size: BatchSize | None = None
    learning_rate: Rate | None = None
    drops: Drops | None = None
    momentum: Momentum | None = None
    weight_decay: WeightDecay | None = None
    padding: Padding | None = None
    flip: Flip | None = None
    validation: Validation | None = None
    warmup: Warmup | None = None
    patience: Patience | None = None
    shorter_side: ShorterSide | None = None
    colour: Colour | None = None
