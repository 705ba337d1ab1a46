"""A network as its author writes it: Table 1's design, section 4.2's and VGG's, and their rules."""

from __future__ import annotations

import builtins
import hashlib
import json
import keyword
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from resnet_gen.read.recipe import Recipe, RecipeOverride

MAX_DEPTH = 9998  # n = 1666 in 6n+2; the paper's deepest network has 1202 layers
DEFAULT_RECIPES = {"cifar": "cifar-paper", "imagenet": "imagenet-paper"}
FIRST = ("name", "design", "depth", "block", "blocks", "shortcut")  # in a canonical spec
CONVOLUTIONS = {"basic": 2, "bottleneck": 3}
# Names that a model.py has for its own, and Python's; no class name has an underscore.
TAKEN_CLASS_NAMES = {"BasicBlock", "Bottleneck", "ZeroPadShortcut", "Tensor", "F", *dir(builtins)}

Block = Literal["basic", "bottleneck"]
Shortcut = Literal["none", "A", "B", "C"]
Width = Annotated[int, Field(ge=1, le=4096)]


def class_name(name: str) -> str:
    """The generated class: resnet50_v1_5 is ResNet50V15, vgg19 is VGG19, my_net is MyNet."""
    head, *rest = name.split("_")
    head = re.sub(r"^vgg", "VGG", re.sub(r"^resnet", "ResNet", head))
    return "".join(part[:1].upper() + part[1:] for part in [head, *rest])


def rule(field: str, message: str, hint: str = "") -> PydanticCustomError:
    """A broken rule of the paper or of this project, with its hint."""
    return PydanticCustomError(field, "{message}", {"message": message, "hint": hint})


def usable_name(name: str) -> str:
    """The name, which a folder and a class must be able to have."""
    hint = "letters, digits and underscores, such as resnet26 or my_net"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise rule("name", "a name must be a Python identifier: it becomes a class", hint)
    if len(name) > 64:
        raise rule("name", f"a name of {len(name)} characters is too long: at most 64", hint)
    made = class_name(name)
    if keyword.iskeyword(name) or keyword.iskeyword(made):
        raise rule("name", f"`{name}` is a word of the Python language", hint)
    if made in TAKEN_CLASS_NAMES:
        raise rule("name", f"its class would be `{made}`, which the file uses for its own", hint)
    if made in ("I", "O"):
        raise rule("name", f"its class would be `{made}`, which reads as a digit", hint)
    if not made.isidentifier():
        raise rule("name", f"`{name}` leaves nothing to call its class", hint)
    return name


def recipe_by_name(value: Any) -> Any:
    """`cifar-paper` is short for `{recipe: cifar-paper}`."""
    if isinstance(value, (dict, RecipeOverride)):
        return value
    if isinstance(value, str):
        return {"recipe": value}
    hint = "such as cifar-paper, or {recipe: cifar-paper, iterations: 32000}"
    raise rule("training", "neither a recipe's name nor a mapping", hint)


Training = Annotated[
    RecipeOverride, BeforeValidator(recipe_by_name, json_schema_input_type=str | RecipeOverride)
]


class Spec(BaseModel):
    """The keys that every design takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=False)
    family: ClassVar[str]  # the folder of such specs, and of their code

    name: Annotated[str, AfterValidator(usable_name)] = Field(
        description="Names the folder and the class of the generated code: a Python identifier.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    image_channels: int = Field(3, ge=1, le=1024, description="Channels of the input.")
    initialisation: Literal["fan_out", "fan_in"] = Field(
        "fan_out",
        description="The fan of He's initialisation (section 3.4, which does not say which one).",
    )

    @property
    def why_no_script(self) -> str:
        """Why there is no train.py; empty where there is one."""
        return ""


class ResidualSpec(Spec):
    """The keys of networks made of blocks, with shortcuts or, as plain networks, without."""

    shortcut: Shortcut = Field(
        description="none: a plain network. A: identity, zero-padded where the dimensions grow. "
        "B: a projection where the dimensions grow. C: every shortcut a projection (section 3.3)."
    )
    zero_padding: Literal["after", "both"] = Field(
        "after",
        description="Where option A puts its extra zero channels: after the others, or half on "
        "both sides. The paper does not say.",
    )
    zero_gamma: bool = Field(
        False,
        description="Start the last batch norm of each block at zero (Goyal et al. 2017; not in "
        "the paper).",
    )

    @field_validator("zero_padding")
    @classmethod
    def _zero_padding_needs_option_a(cls, value: str, info: ValidationInfo) -> str:
        if value != "after" and info.data.get("shortcut", "A") != "A":
            raise rule("zero_padding", "only option A pads its shortcuts", "remove this line")
        return value

    @field_validator("zero_gamma")
    @classmethod
    def _zero_gamma_needs_shortcuts(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("shortcut") == "none":
            message = "a plain network that starts with zero gammas passes nothing on"
            raise rule("zero_gamma", message, "remove this line, or give it shortcuts")
        return value


def _counted(depth: int, counted: int, blocks: str, total: str) -> int:
    """The depth, if it is the number of layers that the blocks make."""
    if depth != counted:
        message = f"{depth} contradicts the blocks: {blocks} makes {total} = {counted} layers"
        raise rule("depth", message, f"write `depth: {counted}`, or other blocks")
    return depth


class CifarSpec(ResidualSpec):
    """6n+2 layers in three stages of basic blocks (section 4.2)."""

    family: ClassVar[str] = "cifar"
    design: Literal["cifar"] = Field(description="cifar: 6n+2 layers, section 4.2.")
    depth: int = Field(description="Weighted layers: 6n+2.", ge=8, le=MAX_DEPTH)
    classes: int = Field(10, ge=1, le=100_000, description="Outputs of the last layer.")
    width: Width = Field(16, description="Filters of the first stage; each later stage doubles it.")
    image_size: int = Field(32, ge=8, le=1024, description="Height and width of the input.")
    training: Training = Field(
        RecipeOverride(recipe=DEFAULT_RECIPES["cifar"]),
        description="A recipe's name, or a mapping that overrides parts of one.",
    )

    @field_validator("depth")
    @classmethod
    def _six_n_plus_two(cls, depth: int) -> int:
        if (depth - 2) % 6:
            n = (depth - 2) // 6
            near = " and ".join(f"{6 * k + 2} (n={k})" for k in (n, n + 1) if k)
            raise rule("depth", f"{depth} is not 6n+2", f"the nearest depths are {near}")
        return depth

    @property
    def n(self) -> int:
        """The number of blocks in each stage."""
        return (self.depth - 2) // 6

    @property
    def block(self) -> Block:
        """The kind of block, of which section 4.2 has one."""
        return "basic"

    @property
    def strided_convolution(self) -> int:
        """Which convolution of a stage's first block strides: the first."""
        return 1


class ImagenetSpec(ResidualSpec):
    """Four stages of basic or bottleneck blocks (Table 1)."""

    family: ClassVar[str] = "imagenet"
    design: Literal["imagenet"] = Field(description="imagenet: Table 1.")
    block: Block = Field(description="basic: two 3×3 layers. bottleneck: 1×1, 3×3, 1×1.")
    blocks: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        description="Blocks in conv2_x, conv3_x, conv4_x and conv5_x.", min_length=4, max_length=4
    )
    depth: int = Field(
        description="Weighted layers: checked against `blocks`.", ge=10, le=MAX_DEPTH
    )
    stride_in: Literal["conv1x1", "conv3x3"] | None = Field(
        None,
        description="The layer of a bottleneck that strides: the first 1×1, as in the authors' "
        "release (default), or the 3×3, torchvision's v1.5.",
    )
    classes: int = Field(1000, ge=1, le=100_000, description="Outputs of the last layer.")
    width: Width = Field(64, description="Filters of conv1 and conv2_x; later stages double it.")
    image_size: int = Field(224, ge=32, le=4096, description="Height and width of the input.")
    pooling: Literal["padded", "ceil"] = Field(
        "padded",
        description="How the 3×3 max pooling meets the border: padded by 1 (torchvision), or not "
        "padded and rounded up (the authors' release). The paper does not say.",
    )
    training: Training = Field(
        RecipeOverride(recipe=DEFAULT_RECIPES["imagenet"]),
        description="A recipe's name, or a mapping that overrides parts of one.",
    )

    @field_validator("depth")
    @classmethod
    def _depth_counts_the_blocks(cls, depth: int, info: ValidationInfo) -> int:
        block, blocks = info.data.get("block"), info.data.get("blocks")
        if block is None or blocks is None:
            return depth
        layers = CONVOLUTIONS[block]
        total = f"{layers}·({'+'.join(map(str, blocks))})+2"
        return _counted(depth, 2 + layers * sum(blocks), f"{block} {blocks}", total)

    @field_validator("stride_in")
    @classmethod
    def _stride_in_is_for_bottlenecks(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("block") == "basic":
            message = "a basic block has no 1×1 layer to choose from"
            raise rule("stride_in", message, "remove this line, or write `block: bottleneck`")
        return value

    @property
    def why_no_script(self) -> str:
        """The scripts read colour images."""
        if self.image_channels == 3:
            return ""
        return f"it would read colour images, not {self.image_channels} channels"

    @property
    def strided_convolution(self) -> int:
        """Which convolution of a stage's first block strides: 1 or 2."""
        return 2 if self.stride_in == "conv3x3" else 1


class VggSpec(Spec):
    """Five stages of 3×3 convolutions and three fully-connected layers (Figure 3, left)."""

    family: ClassVar[str] = "imagenet"
    design: Literal["vgg"] = Field(description="vgg: Simonyan & Zisserman 2014; Figure 3, left.")
    blocks: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        description="3×3 convolutions in each of the five stages.", min_length=5, max_length=5
    )
    depth: int = Field(description="Weighted layers: checked against `blocks`.", ge=8, le=MAX_DEPTH)
    classes: int = Field(1000, ge=1, le=100_000, description="Outputs of the last layer.")
    width: Width = Field(
        64, description="Filters of the first stage; later stages double it, up to 8 times as many."
    )
    hidden: int = Field(
        4096, ge=1, le=65536, description="Units of each of the first two fully-connected layers."
    )
    dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="The probability that training drops one of those units.",
    )
    image_size: int = Field(
        224,
        ge=32,
        le=4096,
        description="Height and width of the input. Of any size, the last maps are pooled to 7×7, "
        "as in torchvision, which changes nothing at 224.",
    )

    @field_validator("depth")
    @classmethod
    def _depth_counts_the_blocks(cls, depth: int, info: ValidationInfo) -> int:
        blocks = info.data.get("blocks")
        if blocks is None:
            return depth
        return _counted(depth, sum(blocks) + 3, str(blocks), f"{'+'.join(map(str, blocks))}+3")

    @property
    def shortcut(self) -> Shortcut:
        """None: its layers follow one another."""
        return "none"

    @property
    def why_no_script(self) -> str:
        """The paper has no recipe for it."""
        return "the paper compares its networks with VGG, and does not say how to train one"


ResidualDesign = CifarSpec | ImagenetSpec
NetworkSpec = CifarSpec | ImagenetSpec | VggSpec
DESIGNS: dict[str, type[CifarSpec] | type[ImagenetSpec] | type[VggSpec]] = {
    "cifar": CifarSpec,
    "imagenet": ImagenetSpec,
    "vgg": VggSpec,
}


def in_words(design: str) -> str:
    """Such a network: `an imagenet network`."""
    return f"{'an' if design == 'imagenet' else 'a'} {design} network"


def keys_elsewhere(design: str) -> dict[str, list[str]]:
    """The keys that this design does not take, each with the designs that do."""
    owners: dict[str, list[str]] = {}
    for other, model in DESIGNS.items():
        for key in model.model_fields.keys() - DESIGNS[design].model_fields.keys():
            owners.setdefault(key, []).append(other)
    return owners


def canonical(spec: NetworkSpec, recipe: Recipe | None) -> dict[str, Any]:
    """The spec with every default and its recipe written out: what the hash is taken of."""
    written = spec.model_dump(mode="json", exclude={"training"})
    first = [key for key in FIRST if key in written]
    data = {key: written[key] for key in dict.fromkeys([*first, *written])}
    if isinstance(spec, ImagenetSpec):
        data["stride_in"] = "conv3x3" if spec.strided_convolution == 2 else "conv1x1"
        if spec.block == "basic":
            del data["stride_in"]
    if recipe is not None:
        data["training"] = recipe.model_dump(mode="json")
    return data


def sha256(spec: NetworkSpec, recipe: Recipe | None) -> str:
    """Hash of the canonical spec: comments, order and spelled-out defaults do not change it."""
    return sha256_of(canonical(spec, recipe))


def network_sha256(spec: NetworkSpec) -> str:
    """Hash of what the network is: of the canonical spec without its recipe and name."""
    written = canonical(spec, None)
    del written["name"]
    return sha256_of(written)


def sha256_of(document: dict[str, Any]) -> str:
    """Hash of a canonical spec that is already plain data, as a run's manifest has it."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
