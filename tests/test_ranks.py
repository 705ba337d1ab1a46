"""What one of several ranks does: its part of images and tests, and what it asks of the others."""

from __future__ import annotations

import copy
import itertools
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from conftest import READING, folder, load
from test_imagenet_tests import untrained
from test_resume import state

EXACT = ["--device", "cpu", "--precision", "fp32"]
CIFAR_SCRIPT = folder("resnet20") / "train.py"


def test_ranks_count_each_image_of_imagenets_once(
    tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = load(tiny / "train.py")
    network = s.Classifier(untrained(tiny, 0), torch.tensor(s.MEAN)[:, None, None], "fp32")
    samples = s.open_folder(pictures).train.samples[:11]
    arguments = ([network], samples, "1-crop", [], READING)
    whole = s.errors(*arguments)
    counts: list[Tensor] = []
    monkeypatch.setattr(s, "total", lambda found: counts.append(found.clone()) or found)
    monkeypatch.setattr(s, "RANKS", 3)
    monkeypatch.setattr(s.dist, "broadcast", lambda *_: None)
    for rank in range(3):
        monkeypatch.setattr(s, "RANK", rank)
        s.errors(*arguments)
    assert [int(found[0]) for found in counts] == [4, 4, 3]
    images, right_at_once, right_in_five = sum(counts).tolist()
    assert images == 11
    assert whole == (100 * (11 - right_at_once) / 11, 100 * (11 - right_in_five) / 11)


def test_cifars_error_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rank's share of the test images, by the ranks' own counts."""
    s = load(CIFAR_SCRIPT)
    torch.manual_seed(0)
    trainer = s.Trainer(10, torch.zeros(3, 32, 32), "fp32")
    pixels = torch.randint(256, (37, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        trainer.model.eval()
        labels = trainer.scores(pixels.float()).argmax(1)
        labels[::5] = (labels[::5] + 1) % 10
    whole = trainer.error(s.Images(pixels, labels))
    assert whole == pytest.approx(100 * 8 / 37)
    counts = []
    monkeypatch.setattr(s, "total", lambda wrong: counts.append(int(wrong)) or wrong)
    monkeypatch.setattr(s, "RANKS", 3)
    monkeypatch.setattr(s.dist, "broadcast", lambda *_: None)
    for rank in range(3):
        monkeypatch.setattr(s, "RANK", rank)
        trainer.error(s.Images(pixels, labels))
    assert sum(counts) == 8 and len(counts) == 3


def test_readers_are_not_forked_amid_the_threads_of_gloo(
    tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fork in some hundreds hung in Python 3.11.7: github.com/python/cpython/issues/112275."""
    s = load(tiny / "train.py")
    images = s.Crops(s.open_folder(pictures).train.samples, 0, "cpu")
    one_worker = Namespace(**{**vars(READING), "workers": 1})
    assert s.loader(images, range(8), 8, one_worker).multiprocessing_context is None
    monkeypatch.setattr(s, "RANKS", 2)
    context = s.loader(images, range(8), 8, one_worker).multiprocessing_context
    assert context.get_start_method() == "forkserver"
    assert s.loader(images, range(8), 8, READING).multiprocessing_context is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_signals_are_the_ranks_own(tiny: Path) -> None:
    """What starts the readers has them blocked, and so have those: before they can say so."""
    from multiprocessing.forkserver import _forkserver  # type: ignore[attr-defined]

    s = load(tiny / "train.py")
    s.start_fork_server()
    try:
        status = Path(f"/proc/{_forkserver._forkserver_pid}/status").read_text()
        blocked = int(status.split("SigBlk:")[1].split()[0], 16)
        for number in (signal.SIGINT, signal.SIGTERM):
            assert blocked & 1 << number - 1
            assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        _forkserver._stop()


@pytest.mark.parametrize(
    ("rank", "local_rank", "turn"), [(0, 0, 0), (1, 1, 2), (8, 0, 1), (9, 1, 2)]
)
def test_one_rank_downloads_then_one_of_each_machine(
    monkeypatch: pytest.MonkeyPatch, rank: int, local_rank: int, turn: int
) -> None:
    s = load(CIFAR_SCRIPT)
    happened: list[str] = []
    monkeypatch.setattr(s, "RANKS", 16)
    monkeypatch.setattr(s, "RANK", rank)
    monkeypatch.setattr(s, "LOCAL_RANK", local_rank)
    monkeypatch.setattr(s, "load", lambda *_: happened.append("load"))
    monkeypatch.setattr(s.dist, "barrier", lambda: happened.append("wait"))
    s.load_in_turn("cifar10", Path())
    assert happened == ["wait"] * turn + ["load"] + ["wait"] * (3 - turn)


def test_a_batch_that_the_ranks_cannot_share(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: Path
) -> None:
    for path in (CIFAR_SCRIPT, tiny / "train.py"):
        s: ModuleType = load(path)
        monkeypatch.setattr(s, "RANKS", 3)
        monkeypatch.setattr(sys, "argv", ["train.py", "--data", "digits", "--batch-size", "16"])
        with pytest.raises(SystemExit) as stop:
            s.parse_arguments()
        assert stop.value.code == 2 and "among 3 ranks" in capsys.readouterr().err


def test_ranks_draw_the_same_and_use_their_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops of a batch are the same, whether one rank has it or two."""
    s = load(CIFAR_SCRIPT)
    torch.manual_seed(0)
    images = torch.rand(8, 3, 32, 32)
    torch.manual_seed(7)
    whole = s.augment(images, flip=True)
    state_after = torch.get_rng_state()
    monkeypatch.setattr(s, "RANKS", 2)
    for rank, part in enumerate(images.chunk(2)):
        monkeypatch.setattr(s, "RANK", rank)
        torch.manual_seed(7)
        assert torch.equal(s.augment(part, flip=True), whole.chunk(2)[rank])
        assert torch.equal(torch.get_rng_state(), state_after)


def test_what_is_tested_are_rank_0s_statistics(
    tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rank's batch norm has seen other images; it tests with what checkpoints have."""
    s, c = load(tiny / "train.py"), load(CIFAR_SCRIPT)
    right = untrained(tiny, 0)
    wrong = copy.deepcopy(right)
    samples = s.open_folder(pictures).validation.samples
    mean = torch.tensor(s.MEAN)[:, None, None]
    classifier = s.Classifier(wrong, mean, "fp32")
    trainer = c.Trainer(10, torch.zeros(3, 32, 32), "fp32")
    pixels = torch.randint(256, (9, 3, 32, 32), dtype=torch.uint8)
    images = c.Images(pixels, torch.arange(9))
    for model, of_rank_0, test in (
        (wrong, right, lambda: s.errors([classifier], samples, "1-crop", [], READING)),
        (trainer.model, copy.deepcopy(trainer.model), lambda: trainer.error(images)),
    ):
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean += 1
        theirs = {id(b): o for b, o in zip(model.buffers(), of_rank_0.buffers(), strict=True)}
        with monkeypatch.context() as patch:
            for script in (s, c):
                patch.setattr(script, "RANKS", 2)
                patch.setattr(script, "total", lambda values: values)
            patch.setattr(dist, "broadcast", lambda b, rank, of=theirs: b.copy_(of[id(b)]))
            test()
        for key, value in of_rank_0.state_dict().items():
            assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize(("local_ranks", "apart"), [(2, True), (1, False)])
def test_a_restart_does_not_meet_the_dead(
    monkeypatch: pytest.MonkeyPatch, local_ranks: int, apart: bool
) -> None:
    """torchrun keeps its store, and in it the addresses of ranks that died.

    Several machines count restarts each for itself, so that they cannot go by the number.
    """
    s, kept, stores = load(CIFAR_SCRIPT), dist.HashStore(), []
    monkeypatch.setattr(dist, "rendezvous", lambda _: iter([(kept, 0, 2)]))
    monkeypatch.setattr(dist, "init_process_group", lambda _, store, **how: stores.append(store))
    monkeypatch.setattr(s, "RANKS", 2)
    monkeypatch.setattr(s, "LOCAL_RANKS", local_ranks)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    for restarts in (0, 1):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        s.join_ranks(torch.device("cpu"))
    first, second = stores
    first.set("address of rank 1", "dead")
    assert second.check(["address of rank 1"]) != apart


def test_a_signal_to_another_rank_stops_this_one_at_the_same_step(
    tiny: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    for path, data in ((CIFAR_SCRIPT, "digits"), (tiny / "train.py", pictures)):
        s, steps = load(path), itertools.count(1)

        def other_rank(number: Tensor, how: object, steps: Iterator[int] = steps) -> None:
            assert how == dist.ReduceOp.MAX
            number.fill_(15 if next(steps) == 7 else number.item())

        agreed = s.agreed

        def of_two_ranks(received: list[int], s: ModuleType = s, agreed: Any = agreed) -> int:
            with monkeypatch.context() as patch:
                patch.setattr(s, "RANKS", 2)
                return agreed(received)

        monkeypatch.setattr(dist, "all_reduce", other_rank)
        monkeypatch.setattr(s, "agreed", of_two_ranks)
        out = tmp_path / path.parent.name
        flags = [*EXACT, "--data", data, "--batch-size", 4, "--iterations", 20, "--out", out]
        flags += ["--workers", 0] if data == pictures else []
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, flags)])
        with pytest.raises(SystemExit) as stop:
            s.main()
        assert stop.value.code == 143 and state(out)["progress"]["step"] == 7


def test_ranks_that_torchrun_did_not_start_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s = load(CIFAR_SCRIPT)
    monkeypatch.setattr(s, "RANKS", 2)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(SystemExit) as stop:
        s.join_ranks(torch.device("cpu"))
    assert stop.value.code == 2 and "start this by torchrun" in capsys.readouterr().err
