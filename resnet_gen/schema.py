"""The JSON Schemas of specs, recipes and the paper's tables, for editors and other programs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from resnet_gen.experiments import definitions
from resnet_gen.paper import tables
from resnet_gen.paper.scores import Scores
from resnet_gen.read.detector_recipe import DetectionRecipe, LocalizationRecipe
from resnet_gen.read.detector_spec import FasterRcnnSpec, LocalizerSpec
from resnet_gen.read.network_spec import NetworkSpec
from resnet_gen.read.recipe import CifarRecipe, ImagenetRecipe
from resnet_gen.weights.layouts import Layout

# Several tables have one form.
SHARED: dict[type[BaseModel], str] = {tables.Errors: "errors", Scores: "scores"}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by the stem of its file: network, recipe, table1 and so on."""
    discriminated = Annotated[NetworkSpec, Field(discriminator="design")]
    network: TypeAdapter[Any] = TypeAdapter(discriminated)
    any_recipe = CifarRecipe | ImagenetRecipe | DetectionRecipe | LocalizationRecipe
    one_recipe = Annotated[any_recipe, Field(discriminator="design")]
    recipe: TypeAdapter[Any] = TypeAdapter(one_recipe)
    found = {"network": network.json_schema(), "recipe": recipe.json_schema()}
    found["detector"] = FasterRcnnSpec.model_json_schema()
    found["localizer"] = LocalizerSpec.model_json_schema()
    found["weights"] = Layout.model_json_schema()
    found["experiment"] = definitions.Experiment.model_json_schema()
    found["sizes"] = definitions.Sizes.model_json_schema()
    for stem, model in tables.FILES.items():
        name = SHARED.get(model, stem)
        found[name] = model.model_json_schema()
    return {name: {"$schema": DIALECT, **schema} for name, schema in found.items()}
