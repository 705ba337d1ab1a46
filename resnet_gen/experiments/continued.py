"""What training makes of a deeper network by construction (section 1), beside one that is fresh.

An experiment's runs have a folder for each network and seed, `resnet56-seed0`. Each deeper network
is trained once more from what the shallower run of the same seed has learned, with the same flags,
in `resnet56-from-resnet20-seed0`, which has besides what train.py writes

    init.safetensors    the weights that it begins with (train.py --init)
    constructed.json    how its scores compared with the shallower network's
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from resnet_gen import files
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments.constructed import Constructed, construct, pairs
from resnet_gen.plot import runs

INIT, COMPARED = "init.safetensors", "constructed.json"


class Continued(NamedTuple):
    """A deeper network that is trained from a shallower run's weights."""

    shallower: str
    deeper: str
    seed: int

    @property
    def name(self) -> str:
        """Its run's folder, beside those of the experiment."""
        return f"{self.deeper}-from-{self.shallower}-seed{self.seed}"

    @property
    def parent(self) -> str:
        """The folder of the shallower run."""
        return f"{self.shallower}-seed{self.seed}"

    @property
    def fresh(self) -> str:
        """The folder of the run that begins with random weights."""
        return f"{self.deeper}-seed{self.seed}"


class Outcome(NamedTuple):
    """What came of one of them: training errors in %, None of what has not been trained.

    The last errors are means over the iterations since the last but one validation, on augmented
    images; `constructed` is of the weights before training, on images as they are.
    """

    run: Continued
    compared: Constructed
    iterations: int | None
    shallower: float | None
    continued: float | None
    fresh: float | None


def continued(networks: Sequence[str], seeds: Mapping[str, int]) -> list[Continued]:
    """The runs that are to be made beside those of `networks`, of the first seed first.

    There is one of each pair of them and each seed that both are trained with; `seeds` says how
    many each network is.
    """
    found = [
        Continued(shallower, deeper, seed)
        for shallower, deeper in pairs(networks)
        for seed in range(min(seeds[shallower], seeds[deeper]))
    ]
    return sorted(found, key=lambda run: run.seed)


def weights_for(
    run: Continued, folder: Path, root: Path | None = None, *, anew: bool = False
) -> Path:
    """The weights that a run begins with, made of the shallower run in `folder` if need be.

    A file that is there stays as it is, unless it is to be made `anew`: a run that goes on must
    have begun with it.

    Raises:
        Failure: as `construct` does.
    """
    init, compared = folder / run.name / INIT, folder / run.name / COMPARED
    if anew or not (init.is_file() and compared.is_file()):
        made = construct(folder / run.parent, run.deeper, init, root=root)
        document = made._asdict() | {"path": INIT}
        files.write(compared, json.dumps(document, indent=2) + "\n")
    return init


def outcomes(planned: Iterable[Continued], folder: Path) -> list[Outcome]:
    """What is known of the runs whose weights have been made.

    Raises:
        Failure: a file of theirs cannot be read (exit code 2).
    """
    return [_outcome(run, folder) for run in planned if (folder / run.name / COMPARED).is_file()]


def _outcome(run: Continued, folder: Path) -> Outcome:
    path = folder / run.name / COMPARED
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        made = Constructed(**{**document, "path": path.with_name(INIT)})
        made = made._replace(errors=(float(made.errors[0]), float(made.errors[1])))
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        hint = "delete it and init.safetensors, to have both made anew"
        message = f"cannot be read: {error}"
        raise Failure(Problem("file", message, hint, path.as_posix())) from None
    steps = _last(folder / run.name)
    errors = [_last(folder / name)[1] for name in (run.parent, run.name, run.fresh)]
    return Outcome(run, made, steps[0], *errors)


def _last(folder: Path) -> tuple[int | None, float | None]:
    """The last iteration of a run that has ended, and its training error there."""
    if not all((folder / name).is_file() for name in (runs.METRICS, "results.json")):
        return None, None
    (run,) = runs.read([folder])
    return round(run.rate.steps[-1]), run.training.values[-1]
