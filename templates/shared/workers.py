"""Processes that read images for training, and end with it."""

import atexit
import errno
import multiprocessing
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, Dataset

from distributed import RANKS, fail


def loader(images: Dataset[Any], indices: range, n: int, args: Namespace) -> Iterator[Any]:
    """Batches of n images, which --workers processes read."""
    try:
        if args.workers and RANKS > 1:
            start_fork_server()
        yield from DataLoader(
            images,
            batch_size=None,  # an item is a batch
            sampler=BatchSampler(indices, n, drop_last=False),
            num_workers=args.workers,
            multiprocessing_context="forkserver" if args.workers and RANKS > 1 else None,
            pin_memory=args.device.type == "cuda",
            worker_init_fn=start_worker,
        )
    except ConnectionError:  # to a worker that died
        raise
    except (OSError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        if isinstance(error, RuntimeError) and os.strerror(errno.EMFILE) not in reason:
            raise
        end_workers()
        sys.unraisablehook = lambda _: None  # a DataLoader that is half made fails to go, too
        fail(f"cannot read images with --workers {args.workers}: {reason}")


def start_fork_server() -> None:
    """Starts the fork server with SIGINT and SIGTERM blocked, so that only ranks handle them.

    A worker that is forked from a rank itself, amid gloo's threads, can hang: cpython#112275.
    """
    from multiprocessing import forkserver, resource_tracker  # which Windows lacks

    multiprocessing.set_forkserver_preload(["torch", "torchvision"])
    resource_tracker.ensure_running()  # first, since it unblocks signals
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    forkserver.ensure_running()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def start_worker(_: int) -> None:
    """Makes a worker ignore SIGINT and SIGTERM, and exit when its rank does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    def end_with_training() -> None:  # the fork server does not notice when a rank exits
        if training := multiprocessing.parent_process():
            training.join()
            os._exit(1)

    threading.Thread(target=end_with_training, daemon=True).start()


@atexit.register
def end_workers() -> None:
    """Ends workers that are left: Python asks them to by a signal that they leave to training."""
    if workers := multiprocessing.active_children():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's raises where a worker is killed
        for worker in workers:
            worker.kill()
