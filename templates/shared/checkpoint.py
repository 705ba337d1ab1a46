"""Checkpoints: written whole, checked before they are read, and resumed only by their own run.

A checkpoint is a dict: what it is of (`network`, and hashes of its spec with and without the
recipe), what a run that goes on from it must share (`same`), `progress`, and the trainer's state.
"""

import io
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import torch
from torch import Tensor, nn

from distributed import fail

COMPILED = "_orig_mod."  # what torch.compile(model) puts before each key
KEYS = {"network", "spec_sha256", "network_sha256", "same", "progress"}
KEYS |= {"model", "classes", "mean"}


class Stateful(Protocol):
    """What a checkpoint is made of: all that the next step depends on."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def optimizer(self) -> torch.optim.Optimizer: ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class Progress:
    """How far a run is; saved with the network, so that a resumed run writes the same lines."""

    step: int = 0  # iterations done
    line: dict[str, float] = field(default_factory=lambda: {"step": 0})  # last in metrics.jsonl
    metrics_bytes: int = 0  # size of metrics.jsonl after `line`
    metrics_crc: int = 0  # its checksum there
    seconds: float = 0.0  # spent in training up to `line`; evaluations are not timed
    seconds_since: float = 0.0  # spent in training after `line`
    best: float | None = None  # the figure that best.pt has


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Ends the run with a sentence where `path` cannot be written."""
    try:
        yield
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror or error}")


def replace(path: Path, content: bytes) -> None:
    """Writes a file in one go: a kill, a crash or a full disk leaves the old one whole."""
    part = path.with_name(path.name + ".part")
    with writing(path):
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def lock(file: IO[bytes]) -> bool:
    """Whether this process alone may write the file; a kill leaves no lock behind.

    A POSIX record lock, since workers that are forked do not inherit it. Where the system or the
    disk has none, every process may.
    """
    try:
        import fcntl
    except ImportError:  # on Windows
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def save(
    path: Path, of: Mapping[str, object], progress: Progress, state: Mapping[str, Any]
) -> None:
    """Writes a checkpoint of the network and run that `of` names."""
    versions = {"torch": str(torch.__version__), "python": sys.version.split()[0]}
    content = io.BytesIO()
    torch.save({**of, "versions": versions, "progress": asdict(progress), **state}, content)
    replace(path, content.getvalue())


def is_finite(state: object) -> bool:
    """Whether all floating-point numbers in the tensors of a state are."""
    return all(t.isfinite().all() for t in tensors(state) if t.is_floating_point())


def read(path: Path, device: torch.device) -> Any:
    """What torch.save has written, once the checksums in the file are found to be right."""
    try:
        with zipfile.ZipFile(path) as archive:
            marked = (file.filename for file in archive.infolist() if file.external_attr)
            damaged = archive.testzip() or next(marked, None)  # one bit there says "a folder"
    except Exception as error:  # zipfile too raises many kinds
        reason = error.strerror if isinstance(error, OSError) else "it is damaged, or no checkpoint"
        fail(f"{path} cannot be read: {reason}")
    if damaged:
        fail(f"{path} is damaged, in its part {damaged}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not all(map(is_plain, tensors(state))):
            raise ValueError(
                "it holds tensors without numbers, or of a kind that scripts never save"
            )
    except Exception as error:  # and torch.load; RecursionError, where it is nested deep
        fail(f"{path} cannot be read: {first_line(error)}")
    return state


def tensors(state: object) -> Iterator[Tensor]:
    """All tensors of a state."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (Mapping, list, tuple)):
        for value in state.values() if isinstance(state, Mapping) else state:
            yield from tensors(value)


def is_plain(tensor: Tensor) -> bool:
    """Whether it is real numbers or integers, each with a place of its own in the file."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        return False
    size = tensor.numel() * tensor.element_size()
    return not tensor.is_complex() and size <= tensor.untyped_storage().nbytes()


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint that a script of this version has written."""
    checkpoint = read(path, device)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("network"), str):
        others = "`resnet-gen weights import` reads other people's"
        fail(f"{path} is no checkpoint of a network that resnet-gen generated: {others}")
    if missing := KEYS - checkpoint.keys():
        lacking = ", ".join(sorted(missing))
        fail(
            f"{path} is of {checkpoint['network']}, but lacks {lacking}: this version of the "
            "script did not write it; the version that did can resume it"
        )
    classes, progress = checkpoint["classes"], checkpoint["progress"]
    if not isinstance(progress, dict) or not isinstance(progress.get("step"), int):
        fail(f"{path} does not say at which step it was written")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        fail(f"{path} does not have the names of classes")
    return checkpoint


def load_model(model: nn.Module, state: object, path: Path) -> None:
    """Puts the weights of a checkpoint into the model: all of them, of the same shapes."""
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        fail(f"{path} has no weights by their names")
    if any(key.startswith(COMPILED) for key in state):
        fail(f"{path} is of a compiled model: take {COMPILED!r} off the beginning of its keys")
    own = model.state_dict()
    if own.keys() != state.keys():
        lacking, added = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        named = [f"it lacks {key}" for key in lacking[:1]] + [f"it has {key}" for key in added[:1]]
        fail(f"{path} does not have this network's weights: {', '.join(named)}")
    for key, value in own.items():
        if not isinstance(state[key], Tensor) or state[key].shape != value.shape:
            shape = tuple(getattr(state[key], "shape", ()))
            fail(f"{path} has {key} of shape {shape}, where this network's is {tuple(value.shape)}")
        if state[key].is_floating_point() != value.is_floating_point():
            fail(f"{path} has {key} of {state[key].dtype}, where this network's is {value.dtype}")
    if not is_finite(state):
        fail(f"{path} has weights that are not finite")
    model.load_state_dict(state)


def compare(path: Path, had: Mapping[str, object], has: Mapping[str, object]) -> None:
    """Ends the run where it has not what the checkpoint's had, and names what differs."""
    if had["network"] != has["network"] or had["spec_sha256"] != has["spec_sha256"]:
        fail(f"{path} is of {had['network']} by another spec than that of this {has['network']}")
    before, now = had["same"], has["same"]
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        fail(f"{path} does not say which run it is of")
    for key in {**before, **now}:
        one, other = before.get(key, "nothing"), now.get(key, "nothing")
        if repr(one) != repr(other):
            if isinstance(one, list) and isinstance(other, list):  # of classes: maybe a thousand
                one, other = [a for a in one if a not in other], [b for b in other if b not in one]
                one, other = (", ".join(map(str, part[:5])) or "no more" for part in (one, other))
            fail(f"{path} is of a run with {key} {one}, not {other}")


def restore(path: Path, trainer: Stateful, checkpoint: dict[str, Any]) -> Progress:
    """Puts the trainer back where the checkpoint was made, and returns how far that is."""
    load_model(trainer.model, checkpoint["model"], path)
    own = [dict(group) for group in trainer.optimizer.param_groups]
    try:
        trainer.load_state_dict(checkpoint)
        progress = Progress(**checkpoint["progress"])
        require_sense(progress)
        trained = [w for group in trainer.optimizer.param_groups for w in group["params"]]
        for weight in trained if progress.step else ():
            if trainer.optimizer.state[weight]["momentum_buffer"].shape != weight.shape:
                raise ValueError("its momentum is not of the weights' shapes")
        for group, before in zip(trainer.optimizer.param_groups, own, strict=True):
            for key in before.keys() - {"lr", "params"}:  # the rate is set at each step
                if repr(group.get(key, before[key])) != repr(before[key]):
                    raise ValueError(f"its optimizer has {key} {group[key]}, not {before[key]}")
    except Exception as error:  # torch raises many kinds
        reason = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
        fail(f"{path} cannot be resumed: {reason}")
    return progress


def require_sense(progress: Progress) -> None:
    """Raises ValueError where a figure of the progress cannot be one of a run."""
    counts = [progress.step, progress.metrics_bytes, progress.metrics_crc, progress.line["step"]]
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise ValueError("its progress is no number of steps and bytes")
    if not 0 <= progress.line["step"] <= progress.step:
        raise ValueError("its last line is of a later step")
    best = 0.0 if progress.best is None else progress.best
    for value in (progress.seconds, progress.seconds_since, best, *progress.line.values()):
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise ValueError(f"its progress has {value!r:.40} where a figure belongs")


def cut_metrics(file: IO[bytes], path: Path, progress: Progress) -> None:
    """Takes away the lines that came after the checkpoint; those before must be as it left them."""
    file.seek(0)
    kept = file.read(progress.metrics_bytes)
    if len(kept) < progress.metrics_bytes or zlib.crc32(kept) != progress.metrics_crc:
        fail(f"{path} was changed since the checkpoint beside it was written")
    file.truncate(progress.metrics_bytes)


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
