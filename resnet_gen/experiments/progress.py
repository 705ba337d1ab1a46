"""What a person sees while runs are made, on stderr: a live table, or plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from resnet_gen.experiments.running import Task
from resnet_gen.train.plan import duration

SETTLED = 20.0  # seconds after which the speed so far tells more than the estimate
INTERVAL = 30.0  # seconds between plain lines


class Clock:
    """The time left in all: what was estimated, corrected by how fast it has gone so far."""

    def __init__(self, seconds: Mapping[str, float], now: Callable[[], float] = time.monotonic):
        """Takes the estimated seconds of each task by its name."""
        self.seconds, self.now, self.began = dict(seconds), now, now()
        self.shares: dict[str, float] = dict.fromkeys(seconds, 0.0)  # done
        self.at_first: dict[str, float] = {}  # done before: of runs that go on

    def tell(self, name: str, share: float) -> None:
        """Takes up that so much of a task, from 0 to 1, is done."""
        self.at_first.setdefault(name, share)
        self.shares[name] = share

    def left(self) -> float:
        """Seconds until all is done."""
        left = sum(self.seconds[name] * (1 - self.shares[name]) for name in self.seconds)
        done = sum(
            self.seconds[name] * (self.shares[name] - first)
            for name, first in self.at_first.items()
        )
        passed = self.now() - self.began
        if passed < SETTLED or done <= 0:
            return max(0.0, left)
        return left * passed / done


class Lines:
    """A line when a task starts or ends, and each half minute between."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.clock, self.count, self.over = clock, count, 0
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.said = time.monotonic()

    def __enter__(self) -> Lines:
        """Begins with nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Ends with nothing."""

    def started(self, task: Task) -> None:
        """Tells that a task has begun."""
        self.clock.tell(task.name, _share(task))
        self._say(f"{task.name}: started, log in {task.folder.as_posix()}")

    def ended(self, task: Task, complaint: str) -> None:
        """Tells how a task has ended."""
        self.over += 1
        self.clock.tell(task.name, 1.0)
        words = complaint or ", ".join(filter(None, ["done", task.progress().words]))
        self._say(f"{task.name}: {words} ({self.over} of {self.count})")

    def update(self, going: Sequence[Task]) -> None:
        """Tells how far the tasks are, now and then."""
        for task in going:
            self.clock.tell(task.name, _share(task))
        if time.monotonic() - self.said < INTERVAL:
            return
        for task in going:
            done, total, words = task.progress()
            steps = f"{done:,} of {total:,}" if total > 1 else "under way"
            self._say(f"{task.name}: {', '.join(filter(None, [steps, words]))}")
        self._say(f"about {duration(self.clock.left())} left in all")

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        self.console.print(text, markup=False)


class Live:
    """A bar for each task that is going on, and the time left in all below them."""

    def __init__(self, clock: Clock, count: int, console: Console | None = None) -> None:
        self.clock, self.over = clock, 0
        self.console = console or Console(stderr=True, highlight=False)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            console=self.console,
            transient=True,
        )
        self.rows: dict[str, TaskID] = {}
        self.all = self.bars.add_task("runs", total=count, words="")

    def __enter__(self) -> Live:
        """Shows the table."""
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Takes the table away; the lines of what has ended stay."""
        self.bars.stop()

    def started(self, task: Task) -> None:
        """Shows a bar for the task, above that of all."""
        self.clock.tell(task.name, _share(task))
        self.bars.remove_task(self.all)
        self.rows[task.name] = self.bars.add_task(task.name, total=task.progress().total, words="")
        total = len(self.clock.seconds)
        self.all = self.bars.add_task("all", total=total, completed=self.over, words="")

    def ended(self, task: Task, complaint: str) -> None:
        """Takes the task's bar away and leaves a line."""
        self.over += 1
        self.clock.tell(task.name, 1.0)
        if (row := self.rows.pop(task.name, None)) is not None:
            self.bars.remove_task(row)
        words = complaint or ", ".join(filter(None, ["done", task.progress().words]))
        style = "red" if complaint else "green"
        self.bars.console.print(f"{task.name}: {words}", style=style, markup=False, highlight=False)

    def update(self, going: Sequence[Task]) -> None:
        """Moves the bars."""
        for task in going:
            done, total, words = task.progress()
            self.clock.tell(task.name, _share(task))
            self.bars.update(self.rows[task.name], completed=done, total=total, words=words)
        left = f"about {duration(self.clock.left())} left"
        self.bars.update(self.all, completed=self.over, words=left)


def view(clock: Clock, count: int) -> Lines | Live:
    """What suits stderr: a live table on a terminal, or else lines."""
    return (Live if Console(stderr=True).is_terminal else Lines)(clock, count)


def _share(task: Task) -> float:
    done, total, _ = task.progress()
    return min(1.0, done / total) if total else 0.0
