"""A detector as its author writes it: Faster R-CNN on a backbone (appendices A and B)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from resnet_gen.read.detector_recipe import (
    DEFAULT_DETECTION_RECIPE,
    DEFAULT_LOCALIZATION_RECIPE,
    DetectionOverride,
    LocalizationOverride,
)
from resnet_gen.read.network_spec import recipe_by_name, rule, usable_name

Pixels = Annotated[int, Field(ge=16, le=4096)]
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Roi(BaseModel):
    """What is taken of the shared maps for each region."""

    model_config = STRICT

    kind: Literal["pool", "align"] = Field(
        "pool",
        description="pool: maxima of bins (Fast R-CNN). align: bilinear samples (He et al. 2017).",
    )
    size: Literal[7, 14] = Field(
        14,
        description="Bins in height and width: 14, which conv5_1 strides to 7, or 7, of which "
        "conv5_1 does not stride. The paper does not say.",
    )


class Anchors(BaseModel):
    """The boxes that proposals start from, at each place of the shared maps."""

    model_config = STRICT

    sizes: list[Pixels] = Field(
        [128, 256, 512], min_length=1, max_length=8, description="Square roots of their areas."
    )
    ratios: list[Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]] = Field(
        [0.5, 1.0, 2.0], min_length=1, max_length=8, description="Their heights over their widths."
    )


class Testing(BaseModel):
    """What is done at test time (appendix B)."""

    model_config = STRICT

    nms: float = Field(
        0.3, gt=0, lt=1, description="The overlap at which the lower of two boxes is dropped."
    )
    refine: bool = Field(
        False,
        description="Pool again from the regressed boxes, and let boxes vote (box refinement).",
    )
    scales: list[Pixels] | None = Field(
        None,
        min_length=2,
        max_length=16,
        description="Shorter sides of the image at which regions are classified, merged by maxout "
        "over two adjacent ones; without it, the one of training.",
    )
    region: Pixels = Field(
        224,
        description="The side in pixels of the square whose area a region has at the best scale.",
    )
    ensemble: bool = Field(
        False, description="Several detectors together: proposals united, scores averaged."
    )

    @field_validator("scales")
    @classmethod
    def _rising(cls, scales: list[int] | None) -> list[int] | None:
        if scales is not None and scales != sorted(set(scales)):
            raise rule(
                "scales", f"{scales} do not rise", "appendix B has [200, 400, 600, 800, 1000]"
            )
        return scales

    @property
    def adds(self) -> bool:
        """Whether anything is done that torchvision's own classes do not do."""
        return self.refine or self.scales is not None or self.ensemble


class FasterRcnnSpec(BaseModel):
    """Faster R-CNN whose regions are classified by conv5_x (appendix A)."""

    model_config = STRICT
    family: ClassVar[str] = "detection"

    name: Annotated[str, AfterValidator(usable_name)] = Field(
        description="Names the folder of the generated code: a Python identifier.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    design: Literal["faster_rcnn"] = Field(description="faster_rcnn: appendix A.")
    backbone: str = Field(
        description="The network whose layers it has, of Table 1's design: resnet101_b."
    )
    classes: int = Field(80, ge=1, le=10_000, description="Kinds of objects, without background.")
    roi: Roi = Roi()
    anchors: Anchors = Anchors()
    proposals: int = Field(300, ge=1, le=10_000, description="Regions of an image that is tested.")
    shorter_side: Pixels = Field(600, description="Pixels; images are resized to it.")
    longer_side: Pixels = Field(
        1000, description="Pixels at most; an image's shorter side is then less."
    )
    batch_norm: Literal["frozen"] = Field(
        "frozen", description="Fixed scales and shifts, as in appendix A."
    )
    context: bool = Field(
        False, description="Each region's features stand beside the whole image's (appendix B)."
    )
    testing: Testing = Testing()
    training: Annotated[
        DetectionOverride,
        BeforeValidator(recipe_by_name, json_schema_input_type=str | DetectionOverride),
    ] = Field(
        DetectionOverride(recipe=DEFAULT_DETECTION_RECIPE),
        description="A recipe's name, or a mapping that overrides parts of one.",
    )

    @field_validator("longer_side")
    @classmethod
    def _no_less_than_the_shorter(cls, value: int, info: ValidationInfo) -> int:
        shorter = info.data.get("shorter_side", 0)
        if value < shorter:
            message = f"{value} is less than the shorter side, {shorter}"
            raise rule("longer_side", message, f"such as {round(shorter * 5 / 3)}")
        return value


class LocalizerSpec(BaseModel):
    """A per-class RPN, and the R-CNN that judges its boxes anew (appendix C)."""

    model_config = STRICT
    family: ClassVar[str] = "detection"

    name: Annotated[str, AfterValidator(usable_name)] = Field(
        description="Names the folder of the generated code: a Python identifier.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    design: Literal["localizer"] = Field(description="localizer: appendix C.")
    backbone: str = Field(
        description="The network whose layers it has, of Table 1's design: resnet101_b."
    )
    classes: int = Field(1000, ge=1, le=10_000, description="Kinds of objects.")
    width: int = Field(512, ge=1, le=4096, description="Filters of the RPN's 3×3 layer.")
    anchors: Anchors = Anchors(sizes=[64, 128, 256])
    proposals: int = Field(
        200, ge=1, le=10_000, description="Boxes of a class that the R-CNN judges anew."
    )
    scales: list[Pixels] = Field(
        [224, 256, 384, 480, 640],
        min_length=1,
        max_length=16,
        description="Shorter sides of an image in dense testing.",
    )
    training: Annotated[
        LocalizationOverride,
        BeforeValidator(recipe_by_name, json_schema_input_type=str | LocalizationOverride),
    ] = Field(
        LocalizationOverride(recipe=DEFAULT_LOCALIZATION_RECIPE),
        description="A recipe's name, or a mapping that overrides parts of one.",
    )
