"""The numbers of the text: computed by declared arithmetic, measured, quoted, or not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from resnet_gen.compare.rows import Verdict
from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.ledger import errors
from resnet_gen.ledger.errors import Training
from resnet_gen.ledger.judging import value_of, verdict_on
from resnet_gen.ledger.networks import TEXT_FILE, Networks
from resnet_gen.ledger.numbers import Number, Status
from resnet_gen.network import layers as op
from resnet_gen.network.expansion import Network, expand
from resnet_gen.paper import tables
from resnet_gen.paper.text import Arithmetic, Term, Text, TextNumber

DIGITS = 4  # of a value that is no whole number
SIGNS = {"difference": "-", "ratio": "/"}
MISSED = "the arithmetic gives another number"


def text(training: Training, of_tables: Sequence[Number]) -> list[Number]:
    """Every number of the text; `of_tables` are those that it may be computed from.

    Raises:
        Failure: somebody's own text.yaml computes with what is not there (exit code 2).
    """
    numbers = tables.load("text", Text).numbers
    printed = {(n.place, n.row, n.column): n.printed for n in of_tables}
    printed |= {(n.place, n.says, ""): n.printed for n in numbers}
    return [_number(training, number, printed) for number in numbers]


def _number(
    training: Training, number: TextNumber, printed: dict[tuple[str, str, str], str]
) -> Number:
    blank = Number(number.place, number.says, "", number.printed, Status.NOT_MEASURED)
    if number.measured:
        return errors.of_text(training, number, number.measured)
    if number.quoted or not number.computed:
        status = Status.QUOTED if number.quoted else Status.NOT_MEASURED
        return replace(blank, status=status, how=number.quoted or number.takes or "")
    terms = [_term(training.networks, term, printed) for term in number.computed.of]
    value = _value(number.computed, [value for value, _ in terms])
    verdict, how = verdict_on(number.means or number.printed, value), ""
    if verdict is None:
        verdict = Verdict.EXPLAINED if number.explained else Verdict.DIFFERS
        how = f"{number.explained or MISSED}; "
    how += _in_words(number.computed, [words for _, words in terms])
    shown = _shown(value) + ("%" if number.printed.endswith("%") else "")
    return replace(blank, status=Status.COMPUTED, verdict=verdict, value=shown, how=how)


def _term(
    networks: Networks, term: Term, printed: dict[tuple[str, str, str], str]
) -> tuple[Decimal, str]:
    """A term's value, and what it is in words.

    Raises:
        Failure: there is no such network, or no such printed number.
    """
    if term.network is None:
        key = (term.place or "", term.row or "", term.column)
        if key not in printed:
            known = [row for place, row, column in printed if (place, column) == (key[0], key[2])]
            message = f"{key[0]} has no number at `{key[1]}`, `{key[2]}`"
            raise Failure(Problem("of", message, did_you_mean(key[1], known, ""), TEXT_FILE))
        return value_of(printed[key]), printed[key]
    entry = networks.named(term.network)
    network, name = networks.expanded(entry), entry.name
    if term.shortcut:
        network = expand(entry.spec.model_copy(update={"shortcut": term.shortcut}))
        name += f" with option {term.shortcut}"
    if term.within:
        name += f", {' '.join(part.removesuffix('.') for part in term.within)}"
    value = _count(network, term)
    if not value:
        message = f"{name} has no {term.figure}"
        raise Failure(Problem("of", message, "name layers as `resnet-gen show` does", TEXT_FILE))
    return Decimal(value), f"{value:,} ({name})"


def _count(network: Network, term: Term) -> int:
    """A figure of the network, or of those of its layers that the term names."""
    parts = tuple(term.within)
    layers = [la for la in network.layers if not parts or la.name.startswith(parts)]
    stages = op.stages(network.layers)
    fully_connected = sum(la.operation == op.Operation.FULLY_CONNECTED for la in layers)
    return {
        "depth": lambda: op.depth(layers),
        "parameters": lambda: op.total(layers, "parameters"),
        "multiply_adds": lambda: op.total(layers, "multiply_adds"),
        "image_size": lambda: network.spec.image_size,
        "output_size": lambda: layers[-1].output_size if layers else 0,
        "convolutions": lambda: op.depth(layers) - fully_connected,
        "projections": lambda: sum(stage.shortcuts.count("projection") for stage in stages),
    }[term.figure or "depth"]()


def _value(arithmetic: Arithmetic, values: Sequence[Decimal]) -> Decimal:
    first, second = values[0], values[-1]
    return {
        "value": lambda: first,
        "difference": lambda: first - second,
        "ratio": lambda: first / second,
        "percent": lambda: 100 * first / second,
        "gain": lambda: 100 * (first - second) / second,
        "reduction": lambda: 100 * (second - first) / second,
    }[arithmetic.operation]()


def _in_words(arithmetic: Arithmetic, terms: Sequence[str]) -> str:
    """27.2 against 21.2; 152 (resnet152_b) / 19."""
    if arithmetic.operation == "value":
        return terms[0]
    sign = SIGNS.get(arithmetic.operation, "against")
    return f"{terms[0]} {'in' if arithmetic.operation == 'percent' else sign} {terms[1]}"


def _shown(value: Decimal) -> str:
    """A whole number with its thousands, another one with four digits."""
    if value == value.to_integral_value():
        return f"{int(value):,}"
    return f"{float(value):.{DIGITS}g}"
