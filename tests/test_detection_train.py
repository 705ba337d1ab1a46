"""Detectors trained on small pictures: resumed to the bit, on two ranks, in steps, and refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import cards
from conftest import folder, load
from resnet_gen.cli import main as command_line
from resnet_gen.generate.loading import load_folder
from resnet_gen.read.detectors import detector
from test_torchrun import finish, start
from training import equal, lines, main, results, state

NAME, BACKBONE = "faster_rcnn_small", "resnet18_small"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with cards, and a backbone that has seen a few: its batch norms normalise."""
    root = cards.make(tmp_path_factory.mktemp("data"), train=30, val=4, crops=300)
    net = load(folder(BACKBONE) / "train.py")
    assert main(net, *common(root, "crops"), "--iterations", 2, "--out", root / "backbone") == 0
    return root


def common(root: Path, data: str) -> list[object]:
    return ["--data", data, "--root", root, "--batch-size", 4, "--workers", 0]


def flags(root: Path, *more: object) -> list[object]:
    measure = ["--measure", "voc"]
    return [*common(root, "cards"), *measure, "--backbone", root / "backbone/checkpoint.pt", *more]


@pytest.fixture(scope="module")
def script() -> Any:
    return load_folder(folder(NAME))


@pytest.fixture(scope="module")
def whole(data: Path, script: Any) -> Path:
    """Six iterations without an interruption."""
    out = data / "whole"
    assert main(script.train, *flags(data, "--iterations", 6, "--out", out)) == 0
    return out


def test_a_run_leaves_what_classifiers_leave(whole: Path) -> None:
    found, last = results(whole), lines(whole)[-1]
    assert found["network"] == NAME and found["iterations"] == 6
    assert found["tested_on"] == "val" and found["test_map"] == last["val_map"] == last["test_map"]
    parts = [
        last[name]
        for name in ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg")
    ]
    assert last["loss"] == pytest.approx(sum(parts), abs=1e-4) and min(parts) > 0
    assert last["loss"] < 20  # with an untrained backbone it would be thousands


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_resumed_run_is_the_whole_one_to_the_bit(
    data: Path,
    script: Any,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    """A signal ends it after the step that it comes in, with a checkpoint."""
    step, count = script.train.Trainer.train_step, [0]

    def stopped(*args: object) -> None:
        count[0] += 1
        if count[0] == 3:
            os.kill(os.getpid(), number)
        step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(script.train.Trainer, "train_step", stopped)
        assert main(script.train, *flags(data, "--iterations", 6, "--out", tmp_path)) == code
    assert state(tmp_path)["progress"]["step"] == 3
    again = flags(data, "--iterations", 6, "--out", tmp_path, "--resume")
    assert main(script.train, *again) == 0
    assert lines(tmp_path) == lines(whole) and equal(state(tmp_path), state(whole))


def test_two_ranks_learn_the_mean_of_their_gradients(
    data: Path, script: Any, tmp_path: Path
) -> None:
    """Of two pictures each, with what each rank samples of them: the same in one process."""
    out = tmp_path / "run"
    finish(start(folder(NAME) / "train.py", *flags(data, "--iterations", 2, "--out", out)))
    assert results(out)["ranks"] == 2 and len(lines(out)) == 2
    args = script.flags.argparse.Namespace(
        **{"backbone": data / "backbone/checkpoint.pt", "resume": False, "init": None, "seed": 0},
        **{"statistics": None, "precision": "fp32", "measure": "voc"},
        device=torch.device("cpu"),
    )
    torch.manual_seed(0)
    net, mean = script.train.first_weights(args)
    pictures = script.annotations.load(data / "cards")
    trainer = script.train.Trainer(pictures.classes, mean, net, args)
    given = (pictures.train.pictures, pictures.classes, script.train.augment, 0)
    examples = script.data.Examples(*given)
    (group,) = trainer.optimizer.param_groups
    for step in range(2):
        group["lr"] = script.train.learning_rate(step, 2)
        trainer.optimizer.zero_grad()
        for rank in range(2):
            batch = [examples.example(k) for k in range(4 * step, 4 * step + 4)[rank::2]]
            objects = [{"boxes": each.boxes, "labels": each.labels} for each in batch]
            torch.manual_seed(step * 2 + rank)
            losses = trainer.parallel([each.pixels.float() for each in batch], objects)
            (sum(losses.values()) / 2).backward()
        trainer.optimizer.step()
    for key, value in state(out)["model"].items():
        torch.testing.assert_close(trainer.model.state_dict()[key], value, rtol=1e-4, atol=1e-5)


def project(root: Path, monkeypatch: pytest.MonkeyPatch, training: str) -> Any:
    """The small detector with another recipe, in a folder of one's own."""
    monkeypatch.chdir(root)
    Path("specs/detection").mkdir(parents=True)
    text = (folder(NAME).parents[2] / f"specs/detection/{NAME}.yaml").read_text()
    text = text[: text.index("training:")] + f"training: {training}\n"
    Path(f"specs/detection/{NAME}.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["resnet-gen", "generate", NAME])
    with pytest.raises(SystemExit) as stop:
        command_line.main()
    assert not stop.value.code
    return load_folder(Path("generated/detection") / NAME)


FOUR_STEPS = (
    "{recipe: voc-paper, iterations: 4, drops: [3], learning_rate: 0.0005, batch_size: 4, "
    "rpn_batch_size: 2, anchors: 64, regions: 16, proposals: 50}"
)


def test_alternating_training_changes_what_its_step_is_about(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ren et al. 2015, section 3.2: which part learns in which step, and from which trunk."""
    code = project(tmp_path, monkeypatch, FOUR_STEPS)
    seen: list[tuple[int, float, int, set[str]]] = []
    step = code.train.Trainer.train_step

    def watched(trainer: Any, batch: list[Any]) -> None:
        before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
        step(trainer, batch)
        after = trainer.model.state_dict()
        changed = {
            key.partition(".")[0] for key, value in after.items() if not value.equal(before[key])
        }
        seen.append((trainer.step, trainer.rate(), len(batch), changed))

    monkeypatch.setattr(code.train.Trainer, "train_step", watched)
    out = tmp_path / "run"
    assert main(code.train, *flags(data, "--iterations", 16, "--out", out)) == 0
    learned = [{"backbone", "rpn"}, {"backbone", "roi_heads"}, {"rpn"}, {"roi_heads"}]
    assert [each[0] for each in seen] == [1 + k // 4 for k in range(16)]
    assert [each[1] for each in seen] == pytest.approx([0.0005, 0.0005, 0.0005, 0.00005] * 4)
    assert [each[2] for each in seen] == [2] * 4 + [4] * 4 + [2] * 4 + [4] * 4
    for number, _, _, changed in seen:
        assert changed == learned[number - 1]


def test_alternating_training_resumes_within_and_between_steps(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = project(tmp_path, monkeypatch, FOUR_STEPS)
    whole, out = tmp_path / "whole", tmp_path / "run"
    arguments = flags(data, "--iterations", 16)
    assert main(code.train, *arguments, "--out", whole) == 0
    step, done = code.train.Trainer.train_step, [0]
    for stop in (3, 4, 6, 9, 13):  # one run, stopped in each step and between two

        def stopped(trainer: Any, batch: list[Any], stop: int = stop) -> None:
            if done[0] == stop:
                raise KeyboardInterrupt
            done[0] += 1
            step(trainer, batch)

        with monkeypatch.context() as patch:
            patch.setattr(code.train.Trainer, "train_step", stopped)
            with pytest.raises(KeyboardInterrupt):
                main(code.train, *arguments, "--out", out, "--resume")
    assert main(code.train, *arguments, "--out", out, "--resume") == 0
    assert lines(out) == lines(whole) and equal(state(out), state(whole))


def test_the_trunk_of_step_2_begins_as_the_classifiers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its proposals are those of step 1, trunk and RPN."""
    code = project(tmp_path, monkeypatch, FOUR_STEPS)
    torch.manual_seed(0)
    net = code.model.ResNet18Small()
    args = code.flags.argparse.Namespace(
        device=torch.device("cpu"), measure="voc", precision="fp32"
    )
    trainer = code.train.Trainer(["a", "b"], torch.zeros(3, 1, 1), net, args)
    first = {key: value.clone() for key, value in trainer.model.backbone.state_dict().items()}
    with torch.no_grad():
        for weight in trainer.model.backbone.parameters():
            weight.add_(1)
    trainer.begin(2)
    assert equal(trainer.model.backbone.state_dict(), first)
    assert trainer.proposer.backbone.conv1.weight.equal(first["conv1.weight"] + 1)
    assert trainer.parallel.proposers == [trainer.proposer]


def test_an_untrained_or_another_backbone_is_refused(
    data: Path, script: Any, tmp_path: Path, capsys: Capture
) -> None:
    bare = [*common(data, "cards"), "--iterations", 2, "--out", tmp_path / "run"]
    assert main(script.train, *bare) == 2
    assert "--backbone WEIGHTS names a trained resnet18_small; untrained" in capsys.readouterr().err
    path = tmp_path / "other.pt"
    torch.save({**state(data / "backbone"), "network_sha256": "0" * 64}, path)
    assert main(script.train, *bare, "--backbone", path) == 2
    assert "is of another network: resnet18_small" in capsys.readouterr().err
    lacking = state(data / "backbone")
    del lacking["model"]["layer4.0.conv1.weight"]
    torch.save(lacking, path)
    assert main(script.train, *bare, "--backbone", path) == 2
    assert "it lacks layer4.0.conv1.weight" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_trunk_and_regions_are_the_classifiers(data: Path, script: Any) -> None:
    """Every weight but the last layer's, and the running statistics as they are."""
    classifier = state(data / "backbone")["model"]
    net = script.model.ResNet18Small(num_classes=10)
    net.load_state_dict(classifier)
    detector = script.detector.Detector(10, net)
    own = detector.state_dict()
    for key, value in classifier.items():
        if key.startswith("fc.") or key.endswith("num_batches_tracked"):
            continue
        within = "roi_heads.box_roi_pool." if key.startswith("layer4.") else "backbone."
        assert own[within + key].equal(value), key
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.modules())


def test_statistics_are_those_of_all_images(data: Path, script: Any, tmp_path: Path) -> None:
    """The means of conv1's outputs over every centre crop, not running averages."""
    net = script.model.ResNet18Small()
    args = script.flags.argparse.Namespace(
        statistics=data / "crops", device=torch.device("cpu"), workers=0
    )
    mean = torch.full((3, 1, 1), 100.0)
    script.backbone.measure_statistics(net, mean, 64, args)
    samples = script.folder.open_part(data / "crops/train").samples
    images = torch.cat([script.backbone.Centres([sample], 64)[[0]] for sample in samples]).float()
    outputs = net.conv1(images - mean)
    parts = outputs.split(64)  # the statistics are means over batches
    expected = torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
    torch.testing.assert_close(net.bn1.running_mean, expected, rtol=1e-4, atol=1e-3)
    spread = torch.stack([part.var((0, 2, 3)) for part in parts]).mean(0)
    torch.testing.assert_close(net.bn1.running_var, spread, rtol=1e-3, atol=1e-3)


def test_evaluate_and_predict(
    data: Path, script: Any, whole: Path, tmp_path: Path, capsys: Capture
) -> None:
    checkpoint = whole / "checkpoint.pt"
    given = [*common(data, "cards"), "--measure", "voc", "--evaluate", checkpoint]
    assert main(script.train, *given) == 0
    assert (
        capsys.readouterr().out == f"map {results(whole)['test_map']:.2f}% on 4 pictures of val\n"
    )
    picture = data / "cards/val/0.png"
    out = tmp_path / "shown"
    arguments = ["--predict", picture, "--evaluate", checkpoint, "--out", out]
    assert main(script.train, *arguments) == 0
    assert capsys.readouterr().out.startswith(f"{picture}\n")
    assert (out / "0.detections.png").is_file()
    other = data / "cards/train/0.png"  # of the same name, in another folder
    assert main(script.train, "--predict", picture, other, *arguments[2:]) == 0
    assert (out / "0-2.detections.png").is_file()
    capsys.readouterr()
    (tmp_path / "none.png").write_text("no image")
    assert main(script.train, "--predict", tmp_path / "none.png", *arguments[2:]) == 2
    assert "1 of 1 images cannot be read" in capsys.readouterr().err


def test_the_checkpoint_of_a_classifier_is_no_detector(
    data: Path, script: Any, capsys: Capture
) -> None:
    given = [*common(data, "cards"), "--evaluate", data / "backbone/checkpoint.pt"]
    assert main(script.train, *given) == 2
    assert "is of another network: resnet18_small" in capsys.readouterr().err


def test_init_begins_with_a_detector_and_new_head_with_its_trunk(
    data: Path, script: Any, whole: Path, tmp_path: Path
) -> None:
    given = [*common(data, "cards"), "--measure", "voc", "--init", whole / "checkpoint.pt"]
    assert main(script.train, *given, "--iterations", 1, "--out", tmp_path / "on") == 0
    begun = shutil.copytree(data / "cards", tmp_path / "data/other")
    for path in begun.rglob("*.xml"):
        path.write_text(path.read_text().replace("<name>7</name>", "<name>seven</name>"))
    other = ["--data", "other", "--root", tmp_path / "data", *given[4:]]
    assert main(script.train, *other, "--iterations", 1, "--out", tmp_path / "refused") == 2
    assert (
        main(script.train, *other, "--new-head", "--iterations", 1, "--out", tmp_path / "new") == 0
    )
    assert "seven" in state(tmp_path / "new")["classes"]


def test_mirroring_is_half_of_all_and_none_without_it() -> None:
    paper = load(folder("faster_rcnn_resnet101_voc") / "train.py")
    rng = random.Random(0)
    assert 450 < sum(paper.augment(rng) for _ in range(1_000)) < 550
    small = load(folder(NAME) / "train.py")
    assert not any(small.augment(rng) for _ in range(100))


def test_the_rate_of_each_step_of_the_paper() -> None:
    """240k at 0.001 and 80k at 0.0001, in each of the four steps (appendix A)."""
    paper = load(folder("faster_rcnn_resnet101") / "train.py")
    assert paper.ITERATIONS == 4 * 320_000 and (paper.BATCH_SIZE, paper.RPN_BATCH_SIZE) == (16, 8)
    for step in range(4):
        first = step * 320_000
        rates = [paper.learning_rate(first + k) for k in (0, 239_999, 240_000, 319_999)]
        assert rates == pytest.approx([0.001, 0.001, 0.0001, 0.0001])
    shorter = [paper.learning_rate(k, 64) for k in range(64)]
    assert shorter == pytest.approx(([0.001] * 12 + [0.0001] * 4) * 4)


def test_the_results_name_what_it_began_with(whole: Path, data: Path) -> None:
    found = json.loads((whole / "results.json").read_text())
    assert found["backbone"].endswith("backbone/checkpoint.pt") and found["measure"] == "voc"
    assert found["spec_sha256"] == detector(NAME).sha256
