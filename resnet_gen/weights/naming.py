"""A layout's names to ours and back, by the templates of its table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from resnet_gen.weights.layouts import KIND, Layout, Module, several

OURS = re.compile(
    r"(?:layer(?P<stage>\d+)\.(?P<block>\d+)\.)?"
    r"(?P<module>conv|bn|fc|downsample\.[01])(?P<layer>\d*)\.(?P<part>\w+)"
)
OURS_OF_VGG = re.compile(r"(?P<module>features|classifier)\.(?P<index>\d+)\.(?P<part>\w+)")
BLOCKS_OF_50 = [3, 4, 6, 3]


class _Pattern(NamedTuple):
    expression: re.Pattern[str]
    module: Module
    part: str


class Naming:
    """The names of a layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.patterns = _patterns_of(layout.name, layout.model_dump_json())

    def ours(self, name: str) -> str | None:
        """Our name for theirs: `layer1.0.conv1.weight`; None where the layout has no such name."""
        for expression, module, part in self.patterns:
            found = expression.fullmatch(name)
            ours = found and self._our_name(module, part, found.groupdict())
            if ours:  # Keras's shortcut has the number that is before the first layer's
                return ours
        return None

    def theirs(self, name: str, blocks: Sequence[int]) -> str:
        """Their name for ours, in a network with these numbers of blocks."""
        if found := OURS_OF_VGG.fullmatch(name):
            return self._template(found).format(index=found["index"])
        found = OURS.fullmatch(name)
        if found is None:
            raise ValueError(f"no name of a network's tensor: {name}")
        if found["stage"] is None:
            return self._template(found, found["layer"])
        template, layer = self._template(found), int(found["layer"] or 0)
        stage, block = int(found["stage"]), int(found["block"])
        numbers = self.layout.numbers
        layers = numbers.layer
        return template.format(
            stage=numbers.stage + stage - 1,
            block=(
                _letter(block, blocks[stage - 1], blocks)
                if numbers.block == "letters"
                else numbers.block + block
            ),
            layer=layers + layer - 1 if isinstance(layers, int) else layers[max(0, layer - 1)],
        )

    def _template(self, found: re.Match[str], number: str = "") -> str:
        """Their name for a tensor of ours, with places to fill in."""
        module: Module = found["module"] + number  # type: ignore[assignment]
        name = several(self.layout.modules[module])[0]
        part = self.layout.names_of_parts(KIND[module])[found["part"]][0]
        return self.layout.prefixes[0] + part.replace("*", name)

    def _our_name(self, module: Module, part: str, places: dict[str, str]) -> str | None:
        if "index" in places:
            return f"{module}.{int(places['index'])}.{part}"
        if "stage" not in places:
            return f"{module}.{part}"
        numbers, layers = self.layout.numbers, self.layout.numbers.layer
        stage = int(places["stage"]) - numbers.stage + 1
        if numbers.block == "letters":
            word = places["block"]
            block = int(word[1:]) if word[1:] else ord(word) - ord("a")
        else:
            block = int(places["block"]) - numbers.block
        layer = ""
        if "layer" in places:
            word = places["layer"]
            number = int(word) - layers + 1 if isinstance(layers, int) else layers.index(word) + 1
            if number < 1:
                return None
            layer = str(number)
        if stage < 1 or block < 0:
            return None
        return f"layer{stage}.{block}.{module}{layer}.{part}"


@cache
def _patterns_of(name: str, table: str) -> list[_Pattern]:
    layout = Layout.model_validate_json(table)
    numbers = layout.numbers
    places = {
        "stage": r"(?P<stage>\d{1,3})",
        "index": r"(?P<index>\d{1,4})",
        "block": r"(?P<block>[a-z]|b\d{1,4})"
        if numbers.block == "letters"
        else r"(?P<block>\d{1,4})",
        "layer": r"(?P<layer>\d{1,3})"
        if isinstance(numbers.layer, int)
        else f"(?P<layer>{'|'.join(map(re.escape, numbers.layer))})",
    }
    found = []
    for module, names in layout.modules.items():
        for part, templates in layout.names_of_parts(KIND[module]).items():
            for template in templates:
                for each in several(names):
                    text = re.escape(template).replace(r"\*", re.escape(each))
                    for place, expression in places.items():
                        text = text.replace(rf"\{{{place}\}}", expression)
                    found.append(_Pattern(re.compile(text), module, part))
    return found


def _letter(block: int, count: int, blocks: Sequence[int]) -> str:
    """a, b, c; in the longer stages of ResNet-101 and 152, a, b1, b2."""
    letters = list(blocks) == BLOCKS_OF_50 or count <= 3
    return chr(ord("a") + block) if letters and count <= 26 else f"b{block}" if block else "a"
