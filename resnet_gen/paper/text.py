"""Numbers that the paper's text, captions and figures print, and what each can be checked by."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from resnet_gen.paper.forms import Printed
from resnet_gen.read.network_spec import Shortcut, rule

Operation = Literal["value", "difference", "ratio", "percent", "gain", "reduction"]
NetworkFigure = Literal[
    "depth",
    "parameters",
    "multiply_adds",
    "image_size",
    "output_size",
    "convolutions",
    "projections",
]


class Term(Printed):
    """What is computed with: a figure of a network, or another printed number."""

    network: str | None = Field(None, description="A network's name.")
    shortcut: Shortcut | None = Field(None, description="That network with other shortcuts.")
    within: list[str] = Field([], description="Only its layers whose names begin so.")
    figure: NetworkFigure | None = Field(None, description="What is counted of the network.")
    place: str | None = Field(None, description="Where the number is printed: Table 8.")
    row: str | None = Field(None, description="Its row there, or what the text says it is.")
    column: str = Field("", description="Its column; the text has none.")

    @model_validator(mode="after")
    def _one_kind(self) -> Term:
        of_network = self.network is not None and self.figure is not None
        if of_network == (self.place is not None and self.row is not None):
            hint = "a network has a figure, a printed number has a place and a row"
            raise rule("of", "a term is of a network or of a printed number", hint)
        return self


class Arithmetic(Printed):
    """An operation on one or two terms.

    `gain` and `reduction` are percentages of the second term, by which the first one is more or
    less; `percent` is the first one in percent of the second.
    """

    operation: Operation = "value"
    of: list[Term] = Field(min_length=1, max_length=2)

    @model_validator(mode="after")
    def _terms(self) -> Arithmetic:
        wanted = 1 if self.operation == "value" else 2
        if len(self.of) != wanted:
            raise rule("of", f"`{self.operation}` has {wanted} terms, not {len(self.of)}")
        return self


class Measurement(Printed):
    """What a training run of a network shows."""

    network: str
    figure: Literal["test_error", "train_error", "warmup_steps"]
    bound: Literal["above", "below"] | None = Field(
        None, description="The paper says only that the figure is above, or below, the number."
    )


class TextNumber(Printed):
    """A number of the text, and one of the four ways to answer it."""

    place: str = Field(description="abstract, section 4.2, Figure 6, appendix A ...")
    says: str = Field(description="What the number is, in few words.")
    printed: str = Field(description="As printed, with its unit: 18%, 19.6 billion, thirteen.")
    means: str | None = Field(None, description="The number, where a word is printed.")
    computed: Arithmetic | None = Field(None, description="By arithmetic.")
    explained: str | None = Field(None, description="Why the arithmetic gives another number.")
    measured: Measurement | None = Field(None, description="By training.")
    quoted: str | None = Field(None, description="Whose number it is.")
    takes: str | None = Field(None, description="What it would take to measure it.")

    @model_validator(mode="after")
    def _one_way(self) -> TextNumber:
        ways = ("computed", "measured", "quoted", "takes")
        if sum(getattr(self, way) is not None for way in ways) != 1:
            message = f"`{self.says}` is answered by none or several of {', '.join(ways)}"
            raise rule("numbers", message, "keep one of them")
        if not any(character.isdigit() for character in self.means or self.printed):
            hint = 'say in digits what it means: `means: "13"`'
            raise rule("numbers", f"`{self.printed}` has no digits", hint)
        if self.explained and not self.computed:
            raise rule("numbers", f"`{self.says}` is explained but not computed")
        return self


class Text(Printed):
    """The numbers that the paper's claims hang on, outside of its tables."""

    numbers: list[TextNumber]
    left_out: str = Field(description="What the paper prints and this file has not.")
