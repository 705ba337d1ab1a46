"""What any training run needs and no paper mentions: steps, figures, the live line, results.

A run lives in its folder --out:

    metrics.jsonl   a line of figures every 50 steps
    checkpoint.pt   all that --resume needs, written at each evaluation and at a signal
    best.pt         the same, at the best validation so far
    results.json    written at the end
"""

import datetime
import json
import math
import os
import sys
import time
import zlib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import torch

import checkpoint as checkpoints
import weights
from checkpoint import Progress, is_finite, replace, writing
from distributed import RANK, RANKS, Signals, fail, gathered, note

LOG_EVERY = 50  # steps between lines of metrics.jsonl; only there is the device waited for


class Trainer(weights.Trainable, Protocol):
    """What train.py trains, and the figures that it is judged by."""

    @property
    def best_by(self) -> tuple[str, str]:
        """The figure that best.pt is chosen by, and whether the "least" or "greatest" is best."""
        ...

    def figures(self, steps: int) -> dict[str, float]:
        """Means of the last `steps` steps, to be logged; waits for the device."""
        ...

    def rate(self) -> float:
        """The learning rate of the last step, as it was applied."""
        ...


class Run:
    """A run in --out: its steps, and what is written after each."""

    metrics: IO[bytes]

    def __init__(self, args: Namespace) -> None:
        self.args, self.folder = args, Path(args.out)
        self.progress = Progress()
        self.logging = self.evaluating = self.finishing = False  # what follows the current step
        self.started: float | None = None  # when the clock was, while training goes on
        self._require_an_empty_folder()

    def open(self, trainer: Trainer, of: dict[str, str], same: Mapping[str, object]) -> None:
        """Takes the folder, and goes on from its checkpoint (--resume) or begins (--init).

        `of` says which network this is, `same` what else a checkpoint has to share with this run.
        """
        self.trainer, self.same = trainer, dict(same)
        self.of = {**of, "same": self.same}
        resumes = self.args.resume and (self.folder / "checkpoint.pt").exists()
        if self.args.init and not gathered(resumes)[0]:
            self.same |= weights.begin(trainer, of, self.args)
        path = self.folder / "metrics.jsonl" if RANK == 0 else Path(os.devnull)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.metrics = path.open("ab+")
        if RANK == 0 and not checkpoints.lock(self.metrics):
            fail(f"another process is training into {self.folder}: name another --out")
        self._require_an_empty_folder()
        if self.args.resume:
            self._resume()
        elif RANK == 0:
            self.metrics.truncate(0)
        self.board = tensorboard(self.folder, self.progress.step) if self.args.tensorboard else None

    def steps(self, evaluate_every: int) -> Iterator[int]:
        """The steps that are left, counted from 0; a signal ends them, with a checkpoint."""
        progress, iterations = self.progress, self.args.iterations
        every, signals = evaluation_interval(evaluate_every, iterations), Signals()
        with self.metrics:
            while progress.step < iterations:
                if progress.step + 1 == min(every, iterations):
                    # A kill during the first validation needs a checkpoint to resume from.
                    self.save("checkpoint.pt")
                self.started = self.started or time.perf_counter()
                progress.step += 1
                self.finishing = progress.step == iterations
                self.evaluating = self.finishing or progress.step % every == 0
                self.logging = self.evaluating or progress.step % LOG_EVERY == 0
                yield progress.step - 1
                number = signals.agreed()
                if self.evaluating or number:
                    self.save("checkpoint.pt")
                if number and not self.finishing:
                    fail(f"stopped at step {progress.step:,}; --resume goes on", 128 + number)

    def figures(self) -> dict[str, float]:
        """The next line of metrics.jsonl; ends a run that has diverged before it is evaluated."""
        progress = self.progress
        steps = progress.step - int(progress.line["step"])
        means = self.trainer.figures(steps)
        self._stop_clock()
        if not math.isfinite(means["loss"]):
            fail(f"training diverged: the loss is {means['loss']} at step {progress.step:,}", 1)
        if self.evaluating:
            self._require_finite(self.trainer.state_dict())
        per_second = steps * self.args.batch_size / progress.seconds_since
        rate = round(self.trainer.rate(), 7)
        return {
            "step": progress.step,
            "lr": rate,
            **means,
            "images_per_second": round(per_second, 1),
        }

    def log(self, line: dict[str, float]) -> None:
        """Writes and shows the line, and saves best.pt where its validation is the best so far."""
        progress, text = self.progress, json.dumps(line).encode() + b"\n"
        with writing(self.folder / "metrics.jsonl"):
            self.metrics.write(text)
            self.metrics.flush()
            if self.board:
                for key in line.keys() - {"step"}:
                    self.board.add_scalar(key, line[key], progress.step)
                self.board.flush()
        progress.line, progress.metrics_bytes = line, self.metrics.tell()
        progress.metrics_crc = zlib.crc32(text, progress.metrics_crc)
        progress.seconds, progress.seconds_since = progress.seconds + progress.seconds_since, 0.0
        self._show(line)
        key, which = self.trainer.best_by
        value, best = line.get(key), progress.best
        if value is not None and (
            best is None or (value < best if which == "least" else value > best)
        ):
            progress.best = value
            self.save("best.pt")

    def save(self, name: str) -> None:
        """Writes a checkpoint; its step tells the place in the stream of batches."""
        state = self.trainer.state_dict()  # on all ranks, since it may sum over them
        self._stop_clock()
        self._require_finite(state)
        if RANK == 0:
            with writing(self.folder / "metrics.jsonl"):  # its lines last as long as the checkpoint
                os.fsync(self.metrics.fileno())
            checkpoints.save(self.folder / name, self.of, self.progress, state)

    def finish(self, **more: object) -> None:
        """Writes results.json: what was run, what came out, and `more`."""
        progress, args = self.progress, self.args
        key, _ = self.trainer.best_by
        tested = {name: value for name, value in progress.line.items() if name.startswith("test_")}
        results = {
            "network": self.of["network"],
            "data": args.data,
            "iterations": args.iterations,
            "batch_size": args.batch_size,
            "seed": args.seed,
            "precision": args.precision,
            **{key: self.same[key] for key in weights.BEGAN if key in self.same},
            **tested,
            f"best_{key}": progress.best,
            **more,
            "ranks": RANKS,
            "seconds": round(progress.seconds, 1),
            "images_per_second": round(args.iterations * args.batch_size / progress.seconds, 1),
            "peak_memory_gib": round(peak_memory(args.device), 2),
            "device": device_name(args.device),
            "spec_sha256": self.of["spec_sha256"],
            "torch": str(torch.__version__),
        }
        if RANK == 0:
            path = self.folder / "results.json"
            replace(path, json.dumps(results, indent=2, default=str).encode() + b"\n")
            print(f"{', '.join(words(*item) for item in tested.items())}, written to {path}")

    def _require_an_empty_folder(self) -> None:
        names = ("metrics.jsonl", "checkpoint.pt", "best.pt", "results.json")
        holds = any((self.folder / n).is_file() and (self.folder / n).stat().st_size for n in names)
        if RANK == 0 and holds and not self.args.resume:
            fail(f"{self.folder} holds a run already: go on with --resume, or name another --out")

    def _require_finite(self, state: dict[str, Any]) -> None:
        if not is_finite(state):
            step = f"{self.progress.step:,}"
            fail(f"training diverged: weights or losses are not finite after step {step}", 1)

    def _resume(self) -> None:
        """Goes on from checkpoint.pt; before there was one, a restart begins at step 0."""
        path, metrics = self.folder / "checkpoint.pt", self.folder / "metrics.jsonl"
        if not gathered(path.exists())[0]:
            self._require_nothing_to_lose()
            note(f"no {path} yet: starting at step 0")
            if RANK == 0:
                self.metrics.truncate(0)
            return
        checkpoint = checkpoints.read_checkpoint(path, self.args.device)
        self.same |= weights.began_with(checkpoint["same"], self.args)
        checkpoints.compare(path, checkpoint, self.of)
        self.progress = checkpoints.restore(path, self.trainer, checkpoint)
        if self.progress.step > self.args.iterations:
            fail(f"{path} is of a step after the last, {self.args.iterations:,}")
        if RANK == 0:
            checkpoints.cut_metrics(self.metrics, metrics, self.progress)
        instead = ": --init is where the run began, and is not read again" * bool(self.args.init)
        note(f"resuming at step {self.progress.step:,}{instead}")

    def _require_nothing_to_lose(self) -> None:
        if RANK > 0:
            return
        self.metrics.seek(0)
        key, _ = self.trainer.best_by
        validated = f'"{key}"'.encode() in self.metrics.read()
        left = [name for name in ("best.pt", "results.json") if (self.folder / name).exists()]
        if validated or left:
            has = " and ".join([*left, *["validations in metrics.jsonl"] * validated])
            instead = "name another --out, or delete what is there to begin anew"
            fail(f"{self.folder} has {has}, but no checkpoint.pt to resume from: {instead}")

    def _stop_clock(self) -> None:
        """Counts the time since the clock was started: evaluating and saving are not timed."""
        if self.started:
            self.progress.seconds_since += time.perf_counter() - self.started
        self.started = None

    def _show(self, line: dict[str, float]) -> None:
        """Prints a line that stays at each evaluation; a terminal has one below that changes."""
        live = sys.stderr.isatty()
        if RANK > 0 or not (live or self.evaluating):
            return
        progress, args = self.progress, self.args
        left = progress.seconds / progress.step * (args.iterations - progress.step)
        text = "  ".join(
            [
                f"step {progress.step:,}/{args.iterations:,}",
                *(words(key, value) for key, value in line.items() if key != "step"),
                f"{peak_memory(args.device):.1f} GiB",
                f"{datetime.timedelta(seconds=round(left))} left",
            ]
        )
        clear_line = "\r\x1b[2K" if live else ""
        end = "\n" if self.evaluating else ""
        print(clear_line + text, end=end, file=sys.stderr, flush=True)


def words(key: str, value: float) -> str:
    """A figure as a person reads it: `train error 4.1%`."""
    if key == "images_per_second":
        return f"{value:,.0f} images/s"
    if key.endswith("_error"):
        return f"{key.replace('_', ' ')} {value:.2f}%"
    return f"{key.replace('_', ' ')} {value:.4g}"


def evaluation_interval(every: int, iterations: int) -> int:
    """Steps between evaluations: a run has ten of them at least, if it is long enough."""
    return min(every, max(1, iterations // 10))


def peak_memory(device: torch.device) -> float:
    """The most memory so far in GiB, of the GPU or else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved() / 2**30
    try:
        import resource
    except ImportError:  # on Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1_024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def device_name(device: torch.device) -> str:
    """The name of the GPU, or cpu or mps."""
    return torch.cuda.get_device_name() if device.type == "cuda" else device.type


def tensorboard(out: Path, step: int) -> Any:
    """Writes the figures of metrics.jsonl for TensorBoard too."""
    if RANK > 0:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        fail("--tensorboard needs TensorBoard: pip install tensorboard", exit_code=4)
    return SummaryWriter(out, purge_step=step + 1)
