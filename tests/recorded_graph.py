"""A CUDA graph for machines without CUDA: it repeats recorded operations on the same tensors.

As with the real one, capturing computes nothing that stays, a replay calls no Python of the step,
numbers keep the value that they had when captured, results go to the memory that they went to
then, and random numbers advance. What a step hands on through Python is thus lost here too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class RecordedGraph:
    """Stands in for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        assert self.calls, "nothing has been captured"
        self.replays += 1
        with torch.no_grad():
            for operation, args, kwargs, results in self.calls:
                computed = operation(*args, **kwargs)
                for where, value, returned in zip(
                    tree_leaves(results),
                    tree_leaves(computed),
                    operation._schema.returns * len(tree_leaves(results)),
                    strict=False,
                ):
                    if isinstance(where, Tensor) and returned.alias_info is None:
                        where.copy_(value)


class _Recorder(TorchDispatchMode):
    def __init__(self, graph: RecordedGraph) -> None:
        super().__init__()
        self.graph = graph
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # what the capture is given, and a copy
        self.made: set[int] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor) and id(tensor) not in self.made | self.before.keys():
                self.before[id(tensor)] = tensor, tensor.detach().clone()
        results = operation(*args, **kwargs)
        self.made |= {id(t) for t in tree_leaves(results) if isinstance(t, Tensor)}
        self.graph.calls.append((operation, args, kwargs, results))
        return results


@contextlib.contextmanager
def capture(graph: RecordedGraph) -> Iterator[None]:
    """Stands in for torch.cuda.graph."""
    random_state = torch.get_rng_state()
    recorder = _Recorder(graph)
    with recorder:
        yield
    torch.set_rng_state(random_state)
    with torch.no_grad():
        for tensor, copy in recorder.before.values():
            tensor.copy_(copy)


class _Stream:
    def wait_stream(self, other: object) -> None:
        pass


def pretend(monkeypatch: pytest.MonkeyPatch) -> list[RecordedGraph]:
    """Lets a script capture without CUDA; gives the graphs that it makes."""
    graphs: list[RecordedGraph] = []

    def new() -> RecordedGraph:
        graphs.append(RecordedGraph())
        return graphs[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", new)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", _Stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    return graphs
