"""Runs the training step as one CUDA graph, or compiled on CPUs where that is faster."""

import importlib.util
import itertools
import shutil
from argparse import Namespace
from collections.abc import Callable

import torch
from torch import nn

from distributed import RANKS
from flags import cpu_has

COMPILE_FROM = 10_000  # iterations: shorter runs take less time than compiling does


def faster(step: Callable[[], None], model: nn.Module, args: Namespace) -> Callable[[], None]:
    """The step, launched in the fastest way that there is here."""
    how = fast_path(args)
    if how == "compiled":
        model.compile(dynamic=False)
    return as_cuda_graph(step, model, args.iterations) if how == "captured" else step


def fast_path(args: Namespace) -> str:
    """How steps are launched: "captured" as a CUDA graph, "compiled", or "eager"."""
    if args.eager or RANKS > 1:  # the CUDA graph is for one process
        return "eager"
    if args.device.type == "cuda":
        return "captured"
    # AMX makes convolutions so fast that the rest is half of a step, and compiling fuses the rest.
    pays = args.precision == "bf16" and cpu_has("amx_bf16") and args.iterations >= COMPILE_FROM
    return "compiled" if pays and shutil.which("g++") else "eager"


def as_cuda_graph(
    step: Callable[[], None], model: nn.Module, iterations: int
) -> Callable[[], None]:
    """The step as one CUDA graph: its hundreds of kernels are launched together, not one by one.

    A graph repeats its kernels on the same memory, and freezes every Python number: what differs
    from step to step (indices, learning rate, sums) has to be in tensors that are written in place.
    Random numbers of the default generator do advance.
    """
    if iterations >= COMPILE_FROM and importlib.util.find_spec("triton"):
        stages = [stage for stage in model.children() if isinstance(stage, nn.Sequential)]
        for block in itertools.chain(*stages):
            block.compile(dynamic=False)  # fuses BN, ReLU, addition; five graphs at any depth
    graph, side_stream, calls = torch.cuda.CUDAGraph(), torch.cuda.Stream(), itertools.count()

    def fast_step() -> None:
        call = next(calls)
        if call < 3:
            # Real training steps, in which blocks compile, cuDNN chooses algorithms and SGD creates
            # its momentum. They run on a side stream: gradients stay with the stream of their first
            # use, and the default stream cannot be captured.
            side_stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side_stream):
                step()
            torch.cuda.current_stream().wait_stream(side_stream)
            return
        if call == 3:
            with torch.cuda.graph(graph):  # records the step and computes nothing
                step()
        graph.replay()

    return fast_step
