"""What one of several ranks does: its part of images and tests, and what it asks of the others."""

from __future__ import annotations

import copy
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader

from conftest import READING, folder, load
from resnet_gen.generate.loading import load_folder
from tiny_runs import reading, untrained
from training import main, state

CIFAR_SCRIPT = folder("resnet20") / "train.py"
TEN = [str(k) for k in range(10)]


@pytest.fixture
def cifar() -> Any:
    return load_folder(folder("resnet20"))


@pytest.fixture
def imagenet(tiny: Path) -> Any:
    return load_folder(tiny)


def classifier(imagenet: Any, model: nn.Module) -> Any:
    mean = torch.tensor(imagenet.train.MEAN)[:, None, None]
    return imagenet.evaluate.Classifier(model, mean, imagenet.train.LAST_SIZE, "fp32")


def test_ranks_count_each_image_of_imagenets_once(
    imagenet: Any, tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    e = imagenet.evaluate
    samples = imagenet.data.load(pictures).train.samples[:11]
    network, test = classifier(imagenet, untrained(tiny, 0)), imagenet.train.TESTS["1-crop"]
    arguments = ([network], samples, test, [], READING)
    whole = e.errors(*arguments)
    counts: list[Tensor] = []
    monkeypatch.setattr(e, "total", lambda found: counts.append(found.clone()) or found)
    monkeypatch.setattr(e, "RANKS", 3)
    for rank in range(3):
        monkeypatch.setattr(e, "RANK", rank)
        e.errors(*arguments)
    assert [int(found[0]) for found in counts] == [4, 4, 3]
    images, right_at_once, right_in_five = sum(counts).tolist()
    assert images == 11
    assert whole == (100 * (11 - right_at_once) / 11, 100 * (11 - right_in_five) / 11)


def test_cifars_error_is_shared_too(cifar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rank's share of the test images, by the ranks' own counts."""
    torch.manual_seed(0)
    trainer = cifar.train.Trainer(TEN, torch.zeros(3, 32, 32), "fp32")
    pixels = torch.randint(256, (37, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        labels = trainer.model.eval()(pixels.float()).argmax(1)
    labels = labels.clone()
    labels[::5] = (labels[::5] + 1) % 10
    images = cifar.data.Images(pixels, labels)
    whole = trainer.error(images)
    assert whole == pytest.approx(100 * 8 / 37)
    counts: list[int] = []
    monkeypatch.setattr(cifar.train, "total", lambda wrong: counts.append(int(wrong)) or wrong)
    monkeypatch.setattr(cifar.train, "RANKS", 3)
    for rank in range(3):
        monkeypatch.setattr(cifar.train, "RANK", rank)
        trainer.error(images)
    assert sum(counts) == 8 and len(counts) == 3


def test_readers_are_not_forked_amid_the_threads_of_gloo(
    imagenet: Any, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fork in some hundreds hung in Python 3.11.7: github.com/python/cpython/issues/112275."""
    d, workers_of = imagenet.data, imagenet.workers
    made: list[DataLoader] = []

    def kept(*args: object, **how: Any) -> list:
        made.append(DataLoader(*args, **how))
        return []

    monkeypatch.setattr(workers_of, "DataLoader", kept)
    started: list[int] = []
    monkeypatch.setattr(workers_of, "start_fork_server", lambda: started.append(1))
    images = d.Crops(d.load(pictures).train.samples, imagenet.train.draw, reading())
    for ranks, workers in ((1, 1), (2, 1), (2, 0)):
        monkeypatch.setattr(workers_of, "RANKS", ranks)
        list(workers_of.loader(images, range(8), 8, reading(workers=workers)))
    contexts = [loader.multiprocessing_context for loader in made]
    assert contexts[0] is None and contexts[2] is None and len(started) == 1
    assert contexts[1].get_start_method() == "forkserver"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_signals_are_the_ranks_own(imagenet: Any) -> None:
    """What starts the readers has them blocked, and so have those: before they can say so."""
    from multiprocessing.forkserver import _forkserver  # type: ignore[attr-defined]

    imagenet.workers.start_fork_server()
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
    cifar: Any, monkeypatch: pytest.MonkeyPatch, rank: int, local_rank: int, turn: int
) -> None:
    d = cifar.distributed
    happened: list[str] = []
    monkeypatch.setattr(d, "RANKS", 16)
    monkeypatch.setattr(d, "RANK", rank)
    monkeypatch.setattr(d, "LOCAL_RANK", local_rank)
    monkeypatch.setattr(d.dist, "barrier", lambda: happened.append("wait"))
    d.in_turn(lambda: happened.append("load"))
    assert happened == ["wait"] * turn + ["load"] + ["wait"] * (3 - turn)


def test_a_batch_that_the_ranks_cannot_share(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: Path
) -> None:
    for path in (folder("resnet20"), tiny):
        net = load_folder(path)
        monkeypatch.setattr(net.flags, "RANKS", 3)
        assert main(net.train, "--data", "digits", "--batch-size", 16, "--iterations", 1) == 2
        assert "--batch-size 16 cannot be shared among 3 ranks" in capsys.readouterr().err


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
    cifar: Any, imagenet: Any, tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rank's batch norm has seen other images; it tests with what checkpoints have."""
    right = untrained(tiny, 0)
    wrong = copy.deepcopy(right)
    samples = imagenet.data.load(pictures).validation.samples
    network, one_crop = classifier(imagenet, wrong), imagenet.train.TESTS["1-crop"]
    trainer = cifar.train.Trainer(TEN, torch.zeros(3, 32, 32), "fp32")
    pixels = torch.randint(256, (9, 3, 32, 32), dtype=torch.uint8)
    images = cifar.data.Images(pixels, torch.arange(9))
    errors = imagenet.evaluate.errors
    for model, of_rank_0, test in (
        (wrong, right, lambda: errors([network], samples, one_crop, [], READING)),
        (trainer.model, copy.deepcopy(trainer.model), lambda: trainer.error(images)),
    ):
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean += 1
        theirs = {id(b): o for b, o in zip(model.buffers(), of_rank_0.buffers(), strict=True)}
        with monkeypatch.context() as patch:
            for net in (cifar, imagenet):
                patch.setattr(net.distributed, "RANKS", 2)
            patch.setattr(dist, "all_reduce", lambda values: values)
            patch.setattr(dist, "broadcast", lambda b, rank, of=theirs: b.copy_(of[id(b)]))
            test()
        for key, value in of_rank_0.state_dict().items():
            assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize(("local_ranks", "apart"), [(2, True), (1, False)])
def test_a_restart_does_not_meet_the_dead(
    cifar: Any, monkeypatch: pytest.MonkeyPatch, local_ranks: int, apart: bool
) -> None:
    """torchrun keeps its store, and in it the addresses of ranks that died.

    Several machines count restarts each for itself, so that they cannot go by the number.
    """
    s, kept, stores = cifar.distributed, dist.HashStore(), []
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
    tiny: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, data in ((folder("resnet20"), "digits"), (tiny, pictures)):
        net, steps = load_folder(path), itertools.count(1)

        def other_rank(number: Tensor, how: object, steps: Iterator[int] = steps) -> None:
            assert how == dist.ReduceOp.MAX
            number.fill_(15 if next(steps) == 7 else number.item())

        agreed = net.distributed.Signals.agreed

        def of_two_ranks(self: Any, net: Any = net, agreed: Any = agreed) -> int:
            with monkeypatch.context() as patch:
                patch.setattr(net.distributed, "RANKS", 2)
                return agreed(self)

        monkeypatch.setattr(dist, "all_reduce", other_rank)
        monkeypatch.setattr(net.distributed.Signals, "agreed", of_two_ranks)
        out = tmp_path / path.name
        flags = ["--data", data, "--batch-size", 4, "--iterations", 20, "--out", out]
        flags += ["--workers", 0] if data == pictures else []
        assert main(net.train, *flags) == 143
        assert state(out)["progress"]["step"] == 7


def test_ranks_that_torchrun_did_not_start_are_told(
    cifar: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cifar.distributed, "RANKS", 2)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(SystemExit) as stop:
        cifar.distributed.join_ranks(torch.device("cpu"))
    assert stop.value.code == 2
    assert "MASTER_ADDR is not set: start several ranks by torchrun" in capsys.readouterr().err
