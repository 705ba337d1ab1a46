"""Several processes as one run: which one this is, and what all of them do together.

`torchrun` starts the processes, called ranks, and tells each in its environment which one it is.
Without it there is one rank, and the functions that speak for all ranks do nothing.
"""

import datetime
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

RANK = int(os.environ.get("RANK", 0))
RANKS = int(os.environ.get("WORLD_SIZE", 1))  # on all machines together
LOCAL_RANK = int(os.environ.get("LOCAL_RANK", 0))  # among the ranks of this machine: which GPU
LOCAL_RANKS = int(os.environ.get("LOCAL_WORLD_SIZE", 1))

T = TypeVar("T")


def fail(message: str, exit_code: int = 2) -> NoReturn:
    """Ends the process with a message on stderr.

    Exit codes: 1 training diverged, 2 wrong usage or files, 4 something is not installed or not
    reachable, 130 or 143 stopped by a signal.
    """
    script = Path(sys.argv[0]).name
    who = script if RANKS == 1 else f"{script}, rank {RANK}"
    print(f"{who}: {printable(message)}", file=sys.stderr, flush=True)
    raise SystemExit(exit_code)


def note(message: str) -> None:
    """Prints a remark on stderr, once for all ranks."""
    if RANK == 0:
        print(printable(message), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text with escapes for what a terminal would obey: names in files may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def as_script(main: Callable[[], None]) -> None:
    """Runs `main` and leaves the process group; Ctrl-C before training ends with exit code 130."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    if RANKS > 1:
        dist.destroy_process_group()


def join_ranks(device: torch.device) -> None:
    """Starts the process group.

    After a restart the TCP store still holds the addresses of the ranks that died, so each restart
    uses a key prefix of its own.
    """
    if RANKS == 1:
        return
    if "MASTER_ADDR" not in os.environ:
        fail(f"WORLD_SIZE is {RANKS}, but MASTER_ADDR is not set: start several ranks by torchrun")
    store, _, _ = next(dist.rendezvous("env://"))
    if RANKS == LOCAL_RANKS:  # on several machines, each counts its own restarts
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT")
        store = dist.PrefixStore(f"restart {restarts}", store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    hour = datetime.timedelta(hours=1)  # one rank may download, or list a large folder, meanwhile
    dist.init_process_group(backend, timeout=hour, store=store, rank=RANK, world_size=RANKS)


def averaging_gradients(model: nn.Module) -> nn.Module:
    """The model, wrapped so that its backward pass averages the gradients over all ranks.

    Each rank's batch norm sees only that rank's images; `share_statistics` says whose running
    statistics count.
    """
    return DistributedDataParallel(model, broadcast_buffers=False) if RANKS > 1 else model


def share_statistics(model: nn.Module) -> None:
    """Gives every rank the batch norm statistics of rank 0, which are those that it saves."""
    for buffer in model.buffers() if RANKS > 1 else ():
        dist.broadcast(buffer, 0)


def total(values: Tensor) -> Tensor:
    """The sum over all ranks, in place."""
    if RANKS > 1:
        dist.all_reduce(values)
    return values


def gathered(value: Any) -> list[Any]:
    """Every rank's value, in the order of the ranks."""
    values = [value] * RANKS
    if RANKS > 1:
        dist.all_gather_object(values, value)
    return values


def in_turn(work: Callable[[], T]) -> T:
    """What `work` returns: rank 0 does it first, then one rank of each machine, then the others.

    So nothing is downloaded twice, into one folder or onto one machine.
    """
    turn = 0 if RANK == 0 else 1 if LOCAL_RANK == 0 else 2
    for current in range(3):
        if turn == current:
            result = work()
        if RANKS > 1:
            dist.barrier()
    return result


class Signals:
    """Ctrl-C and SIGTERM, kept until the current step is done, so that it is never torn apart."""

    def __init__(self) -> None:
        self.received: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._keep)

    def _keep(self, number: int, _: object) -> None:
        self.received.append(number)
        if RANKS == 1:  # a second Ctrl-C ends at once; torchrun sends each rank the first one twice
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def agreed(self) -> int:
        """The signal that any rank has received, or 0: all ranks stop after the same step."""
        number = torch.tensor(max(self.received, default=0))
        if RANKS > 1:
            dist.all_reduce(number, dist.ReduceOp.MAX)
        return int(number)
