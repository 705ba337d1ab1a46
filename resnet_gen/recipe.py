"""A training recipe: section 4.2's constants, all counted in iterations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

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
Percent = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False)]


class Warmup(BaseModel):
    """A smaller learning rate at the start, until the network has begun to learn."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    learning_rate: Rate
    until_training_error: Percent = Field(
        description="The warm-up ends when the training error, in percent, is below this."
    )


class Recipe(BaseModel):
    """How a network is trained: SGD with momentum, a stepped schedule, random crops and flips."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(description="What specs call this recipe.", min_length=1, max_length=64)
    design: Literal["cifar"] = Field(description="The design that it trains.")
    iterations: Iterations
    batch_size: BatchSize
    learning_rate: Rate
    drops: Drops
    momentum: Momentum
    weight_decay: WeightDecay
    padding: Padding
    flip: Flip
    validation: Validation
    warmup: Warmup | None = Field(None, description="A smaller learning rate to begin with.")

    @field_validator("drops")
    @classmethod
    def _drops_rise_before_the_end(cls, drops: list[int], info: ValidationInfo) -> list[int]:
        iterations = info.data.get("iterations", 10**9)
        if drops != sorted(set(drops)) or (drops and drops[-1] >= iterations):
            message = f"{drops} must rise and end before iteration {iterations}"
            halves = [iterations // 2, iterations * 3 // 4]
            hint = f"the paper's stand at 1/2 and 3/4 of the iterations: write `drops: {halves}`"
            hint = hint if iterations >= 4 else "write `drops: []`"
            raise PydanticCustomError("drops", "{message}", {"message": message, "hint": hint})
        return drops


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
