"""The recipe in `diff`: edits of train.py that change the training differ, others are equal."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import NAMES, folder, generate_tiny, spec_of
from one_network import write_spec
from resnet_gen.compare.recipe import asking, planted, rows, words
from resnet_gen.compare.rows import Row
from resnet_gen.paper import training
from resnet_gen.read import library, recipes

pytestmark = pytest.mark.usefixtures("measured_here")
CIFAR, WARMED, IMAGENET = "resnet20", "resnet110", "resnet18_a"
SGD = "self.model.parameters(), self.lr, MOMENTUM, weight_decay=WEIGHT_DECAY, fused=True"
OTHERS_SGD = "self.model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY"
NO_DECAY = (
    "[{'params': [p for p in self.model.parameters() if p.dim() > 1]},"
    " {'params': [p for p in self.model.parameters() if p.dim() == 1], 'weight_decay': 0.0}],"
)
CROP = "offsets = torch.randint(2 * PADDING + 1, (2, n * RANKS, 1), device=device)"
MIRROR = "mirrored = (torch.rand(n * RANKS, 1, device=device) < 0.5)"
LOOP = "trainer.lr.fill_(learning_rate(step, args.iterations))"
WARM_LOOP = "trainer.lr.fill_(learning_rate(step, args.iterations, trainer.warmup_steps is None))"
CALL = "inputs = augment(pixels - self.mean, flip)"
SIDES = "rng.randint(*SHORTER_SIDE), rng.random(), rng.random()"
FLIPPED = "pixels.flip(3)"

CHANGES = {  # what: the network, the text, its replacement, the row that differs, words of it
    "an iteration more": (CIFAR, "NS = 64_000", "NS = 64_001", "iterations", "64,001"),
    "a larger batch": (CIFAR, "BATCH_SIZE = 128", "BATCH_SIZE = 256", "batch_size", "256"),
    "a batch set with the flags": (
        CIFAR,
        "    return parse(parser)",
        "    parser.set_defaults(batch_size=64)\n    return parse(parser)",
        "batch_size",
        "64",
    ),
    "a milestone moved": (
        CIFAR,
        "(32_000, 48_000)",
        "(32_000, 48_001)",
        "learning_rate",
        "divided by 10 at 32,000 and 48,001",
    ),
    "an iteration late": (
        CIFAR,
        ">= milestone / ITERATIONS",
        "> milestone / ITERATIONS",
        "learning_rate",
        "at 32,001 and 48,001",
    ),
    "another rate": (CIFAR, "LEARNING_RATE = 0.1", "LEARNING_RATE = 0.2", "learning_rate", "0.2,"),
    "half, not a tenth": (
        CIFAR,
        "LEARNING_RATE / 10**passed",
        "LEARNING_RATE / 2**passed",
        "learning_rate",
        "0.1; 0.05 from 32,000",
    ),
    "a cosine": (
        CIFAR,
        "return LEARNING_RATE / 10**passed",
        "return LEARNING_RATE / 10**passed * (1 - step / iterations)",
        "learning_rate",
        "64,000 rates in all",
    ),
    "a rate that the loop does not set": (
        CIFAR,
        LOOP,
        "trainer.lr.fill_(LEARNING_RATE)",
        "learning_rate",
        "the loop sets 0.1 at iteration 32,000",
    ),
    "no warm-up in the schedule": (
        WARMED,
        "        return WARMUP_LEARNING_RATE",
        "        return LEARNING_RATE",
        "warmup",
        "none",
    ),
    "no warm-up in the loop": (
        WARMED,
        WARM_LOOP,
        "trainer.lr.fill_(learning_rate(step, args.iterations))",
        "warmup",
        "none",
    ),
    "a colder start": (
        WARMED,
        "WARMUP_LEARNING_RATE = 0.01",
        "WARMUP_LEARNING_RATE = 0.001",
        "warmup",
        "0.001 until",
    ),
    "a longer warm-up": (WARMED, "WARMUP_UNTIL = 80", "WARMUP_UNTIL = 70", "warmup", "below 70%"),
    "a warm-up without end": (
        WARMED,
        "                trainer.warmup_steps = run.progress.step",
        "                pass",
        "warmup",
        "0.01 without end",
    ),
    "a warm-up that nobody asked for": (
        CIFAR,
        LOOP,
        LOOP + "\n        if run.progress.line['step'] == 0 and not hasattr(run, 'seen'):\n"
        "            trainer.lr.fill_(0.01)\n            run.seen = True",
        "warmup",
        "0.01",
    ),
    "Nesterov": (CIFAR, SGD, SGD + ", nesterov=True", "optimizer", "Nesterov's momentum"),
    "Nesterov on ImageNet": (
        IMAGENET,
        OTHERS_SGD,
        OTHERS_SGD + ", nesterov=True",
        "optimizer",
        "Nesterov's momentum",
    ),
    "dampening": (CIFAR, SGD, SGD + ", dampening=0.1", "optimizer", "not those of SGD"),
    "AdamW": (
        IMAGENET,
        "torch.optim.SGD(\n            " + OTHERS_SGD + ", fused=True",
        "torch.optim.AdamW(\n            self.model.parameters(), 0.1, weight_decay=WEIGHT_DECAY",
        "optimizer",
        "AdamW",
    ),
    "half of the network": (
        CIFAR,
        SGD,
        SGD.replace("self.model.parameters()", "self.model.fc.parameters()"),
        "optimizer",
        "not on conv1.weight, bn1.weight and",
    ),
    "another momentum": (CIFAR, "MOMENTUM = 0.9 ", "MOMENTUM = 0.95 ", "momentum", "0.95"),
    "no momentum in the optimizer": (CIFAR, SGD, SGD.replace("MOMENTUM", "0.0"), "momentum", "0"),
    "another decay": (CIFAR, "DECAY = 1e-4", "DECAY = 5e-4", "weight_decay", "0.0005"),
    "no decay of batch norms": (
        CIFAR,
        SGD,
        NO_DECAY + SGD.removeprefix("self.model.parameters(),"),
        "weight_decay",
        "0.0001, but 0 on bn1.weight, bn1.bias and",
    ),
    "smooth labels": (
        CIFAR,
        "F.cross_entropy(scores, labels)",
        "F.cross_entropy(scores, labels, label_smoothing=0.1)",
        "loss",
        "not the mean cross-entropy's",
    ),
    "the sum of losses": (
        IMAGENET,
        "F.cross_entropy(scores, labels)",
        "F.cross_entropy(scores, labels, reduction='sum')",
        "loss",
        "not the mean cross-entropy's",
    ),
    "gradients clipped": (
        CIFAR,
        "loss.backward()",
        "loss.backward()\n        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.01)",
        "loss",
        "not the mean cross-entropy's",
    ),
    "validated rarely": (
        CIFAR,
        "run.steps(EVALUATE_EVERY)",
        "run.steps(2 * EVALUATE_EVERY)",
        "evaluate_every",
        "2,000",
    ),
    "fewer held out": (CIFAR, "VALIDATION = 5_000", "VALIDATION = 4_000", "held_out", "4,000"),
    "none held out": (
        CIFAR,
        "0 if args.full_train else VALIDATION",
        "0",
        "held_out",
        "0 images",
    ),
    "a mean of channels": (
        CIFAR,
        "data.train.pixels.mean(dim=0, dtype=torch.float32)",
        "data.train.pixels.float().mean(dim=(0, 2, 3), keepdim=True)[0]",
        "mean",
        "per channel",
    ),
    "no mean": (CIFAR, CALL, "inputs = augment(pixels.float(), flip)", "mean", "none"),
    "deviations too": (
        CIFAR,
        CALL,
        "inputs = augment((pixels - self.mean) / 63.0, flip)",
        "mean",
        "another",
    ),
    "a padding of 3": (CIFAR, "PADDING = 4 ", "PADDING = 3 ", "padding", "3 on each side, zeros"),
    "padded by mirroring": (
        CIFAR,
        "F.pad(images, (PADDING,) * 4)",
        "F.pad(images, (PADDING,) * 4, mode='reflect')",
        "padding",
        "4 on each side, ",
    ),
    "never the last place": (
        CIFAR,
        CROP,
        CROP.replace("2 * PADDING + 1", "2 * PADDING"),
        "padding",
        "4 above, 3 below, 4 left, 3 right",
    ),
    "only along the diagonal": (
        CIFAR,
        CROP,
        CROP + "\n    offsets[1] = offsets[0]",
        "crop",
        "32×32, at 9 places",
    ),
    "the middle more often": (
        CIFAR,
        CROP,
        CROP + "\n    offsets[:, : n // 4] = PADDING",
        "crop",
        "32×32, not everywhere as often",
    ),
    "smaller crops": (
        CIFAR,
        "return crops.permute(0, 3, 1, 2)",
        "return crops.permute(0, 3, 1, 2)[:, :, :28, :28]",
        "crop",
        "28×28",
    ),
    "a pixel erased": (
        CIFAR,
        "return crops.permute(0, 3, 1, 2)",
        "crops[:, 5, 5] = 0\n    return crops.permute(0, 3, 1, 2)",
        "crop",
        "not a part of the padded image",
    ),
    "channels in another order": (
        CIFAR,
        "return crops.permute(0, 3, 1, 2)",
        "return crops.flip(3).permute(0, 3, 1, 2)",
        "crop",
        "not a part of the padded image",
    ),
    "never mirrored": (CIFAR, "FLIP = True", "FLIP = False", "flip", "none"),
    "not mirrored in the loop": (
        CIFAR,
        "train_step(images, indices, flip)",
        "train_step(images, indices, False)",
        "flip",
        "none",
    ),
    "mirrored always": (CIFAR, MIRROR, MIRROR.replace("0.5", "2"), "flip", "100% of the images"),
    "mirrored by a third": (CIFAR, MIRROR, MIRROR.replace("0.5", "0.33"), "flip", "of the images"),
    "upside down": (
        CIFAR,
        "columns = torch.where(mirrored, columns.flip(1), columns)",
        "rows = torch.where(mirrored, rows.flip(1), rows)",
        "flip",
        "none",
    ),
    "another patience": (IMAGENET, "PATIENCE = 5", "PATIENCE = 6", "learning_rate", "6 valid"),
    "a plateau of equal errors": (
        IMAGENET,
        "0 if error < lowest else",
        "0 if error <= lowest else",
        "learning_rate",
        "but not after so many",
    ),
    "a wait that goes on": (
        IMAGENET,
        "waited, drops = 0, drops + 1",
        "drops = drops + 1",
        "learning_rate",
        "but not after so many",
    ),
    "no plateau": (IMAGENET, "/ 10**drops", "/ 1**drops", "learning_rate", "whatever the errors"),
    "errors that the loop forgets": (
        IMAGENET,
        'trainer.val_errors.append(line["val_error"])',
        "pass",
        "learning_rate",
        "but the loop sets 0.1 at",
    ),
    "a rate that the loop forgets": (
        IMAGENET,
        'group["lr"] = learning_rate(step, args.iterations, trainer.val_errors)',
        "pass",
        "learning_rate",
        "but the loop sets 0.1 at",
    ),
    "larger sides": (
        IMAGENET,
        "SHORTER_SIDE = (256, 480)",
        "SHORTER_SIDE = (256, 512)",
        "shorter_side",
        "256 to 512",
    ),
    "two scales": (
        IMAGENET,
        SIDES,
        SIDES.replace("rng.randint(*", "rng.choice("),
        "shorter_side",
        "256 to 480, not evenly",
    ),
    "crops in the middle": (
        IMAGENET,
        SIDES,
        SIDES.replace("rng.random(), rng.random()", "0.5, 0.5"),
        "crop",
        "not anywhere",
    ),
    "other crops": (
        IMAGENET,
        "IMAGE_SIZE = 224",
        "IMAGE_SIZE = 192",
        "crop",
        "192×192, anywhere",
    ),
    "a quarter mirrored": (
        IMAGENET,
        "rng.random() < 0.5",
        "rng.random() < 0.25",
        "flip",
        "25% of the images",
    ),
    "photographs upside down": (IMAGENET, FLIPPED, "pixels.flip(2)", "flip", "not left to right"),
    "another mean": (IMAGENET, "MEAN = (123.675,", "MEAN = (103.53,", "mean", "103.53, 116.28"),
    "photographs' deviations": (
        IMAGENET,
        "return pixels - mean + colour[:, :, None, None]",
        "return (pixels - mean + colour[:, :, None, None]) / 58.0",
        "mean",
        "more than a mean",
    ),
    "stronger colours": (IMAGENET, "COLOUR = 0.1", "COLOUR = 0.12", "colour", "deviation 0.12"),
    "no colours": (IMAGENET, "COLOUR = 0.1", "COLOUR = 0", "colour", "none"),
    "blue for red": (
        IMAGENET,
        "+ colour[:, :, None, None]",
        "+ colour.flip(1)[:, :, None, None]",
        "colour",
        "not along AlexNet's",
    ),
    "colours of bytes": (IMAGENET, "255 * colour @", "colour @", "colour", "not along AlexNet's"),
}  # fmt: skip
SAME = {
    "a rate by its formula": (CIFAR, "LEARNING_RATE / 10**passed", "LEARNING_RATE * 0.1**passed"),
    "constants by other names": (CIFAR, "WEIGHT_DECAY", "DECAY"),
    "not fused": (CIFAR, SGD, SGD.removesuffix(", fused=True")),
    "parameters in two groups": (
        CIFAR,
        SGD,
        NO_DECAY.replace("0.0}", "WEIGHT_DECAY}") + SGD.removeprefix("self.model.parameters(),"),
    ),
    "decay by hand": (
        CIFAR,
        SGD + "|loss.backward()",
        SGD.replace("weight_decay=WEIGHT_DECAY, ", "")
        + "|loss.backward()\n"
        "        for p in self.model.parameters():\n"
        "            p.grad += WEIGHT_DECAY * p.detach()",
    ),
    "mirrored in another place": (
        CIFAR,
        "return crops.permute(0, 3, 1, 2)|" + MIRROR,
        "crops = crops.permute(0, 3, 1, 2)\n"
        "    chosen = torch.rand(n, 1, 1, 1) < (0.5 if flip else 0)\n"
        "    return torch.where(chosen, crops.flip(3), crops)|"
        + MIRROR.replace("< 0.5", "> 2"),
    ),
    "the loss in two steps": (
        IMAGENET,
        "F.cross_entropy(scores, labels)",
        "F.nll_loss(scores.log_softmax(1), labels)",
    ),
    "sides by another draw": (IMAGENET, "rng.randint(*SHORTER_SIDE)", "rng.randrange(256, 481)"),
    "validated by another name": (IMAGENET, "val_errors", "validation_errors"),
}  # fmt: skip


def edited(path: Path, name: str, texts: str, replacements: str) -> Path:
    """A copy of the network's folder with these edits of its train.py."""
    copy = shutil.copytree(folder(name), path / name)
    source = (copy / "train.py").read_text()
    for text, replacement in zip(texts.split("|"), replacements.split("|"), strict=True):
        assert text in source, text
        source = source.replace(text, replacement)
    (copy / "train.py").write_text(source)
    return copy


def rows_of(path: Path, name: str) -> dict[str, Row]:
    """The rows of the recipe, by their keys, of the code in a folder."""
    entry = spec_of(name)
    questions = rows.questions(entry, path / "train.py")
    answers = json.loads(json.dumps(asking.ask(path / "train.py", questions or {})))
    return {row.key.removeprefix("recipe."): row for row in rows.with_paper(entry, answers)}


FOLLOW = {  # rows that such an edit changes too
    "AdamW": {"momentum"},
    "a warm-up without end": {"learning_rate"},
    "photographs' deviations": {"colour"},
    "smaller crops": {"padding"},
    "upside down": {"crop", "padding"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_edit_that_changes_the_training_differs_in_its_row(what: str, tmp_path: Path) -> None:
    name, text, replacement, key, seen = CHANGES[what]
    found = rows_of(edited(tmp_path, name, text, replacement), name)
    differing = {k: row.right for k, row in found.items() if row.verdict == "differs"}
    assert seen in differing[key], differing
    assert found[key].why == rows.CHANGED and found[key].part == "recipe"
    assert differing.keys() - {key} == FOLLOW.get(what, set()), differing


@pytest.mark.parametrize("what", SAME)
def test_an_edit_that_changes_no_training_is_equal(what: str, tmp_path: Path) -> None:
    found = rows_of(edited(tmp_path, *SAME[what]), SAME[what][0])
    assert {k: row.right for k, row in found.items() if row.spec != row.right} == {}
    assert not any(row.verdict == "differs" for row in found.values())


# ---- What the spec means, against what we did not write ------------------------------------------


def test_a_plateau_is_torchs() -> None:
    """The rates that are expected after planted errors are ReduceLROnPlateau's."""
    numbers, drops = random.Random(1), 0
    for k in range(200):
        patience = numbers.randint(1, 9)
        errors = [float(numbers.randint(0, 3 + k % 9)) for _ in range(numbers.randint(1, 50))]
        optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=patience - 1, threshold=0, eps=0
        )
        expected = [0.1]
        for error in errors:
            plateau.step(error)
            expected.append(plateau.get_last_lr()[0])
        assert words.plateau_rates(0.1, patience, errors) == pytest.approx(expected)
        drops += expected[-1] < 0.1
    assert 100 < drops < 200


def test_a_planned_schedule_is_torchs() -> None:
    """The words name the iterations at which MultiStepLR drops."""
    entry = spec_of(CIFAR)
    assert entry.recipe is not None
    optimizer = torch.optim.SGD([torch.zeros(1)], entry.recipe.learning_rate)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [32_000, 48_000], 0.1)
    rates = []
    optimizer.step()
    for _ in range(64_000):
        rates.append(steps.get_last_lr()[0])
        steps.step()
    changes = [k for k in range(1, 64_000) if rates[k] != rates[k - 1]]
    pieces = [(k, rates[k]) for k in (0, *changes)]
    assert words.schedule(pieces) == words.of_spec(entry.recipe, entry.spec)["learning_rate"]


def test_every_patience_shows_in_the_planted_errors() -> None:
    """No two waits of up to 40 validations give the same rates."""
    seen = [
        [words.plateau_rates(0.1, patience, errors) for errors in planted.series(40)]
        for patience in range(1, 41)
    ]
    assert all(one != other for k, one in enumerate(seen) for other in seen[:k])


def test_the_sections_are_transcribed() -> None:
    """Typed here once more, from sections 3.4 and 4.2."""
    assert training.meant("cifar") == {
        **{"iterations": 64_000, "batch_size": 128, "learning_rate": 0.1, "momentum": 0.9},
        **{"weight_decay": 0.0001, "flip": True, "drops": [32_000, 48_000], "padding": 4},
        "validation": 5_000,
        "warmup": {"learning_rate": 0.01, "until_training_error": 80.0},
    }
    assert training.meant("imagenet") == {
        **{"iterations": 600_000, "batch_size": 256, "learning_rate": 0.1, "momentum": 0.9},
        **{"weight_decay": 0.0001, "flip": True, "drops": None, "shorter_side": [256, 480]},
    }
    assert training.section("imagenet").crop == "224×224"
    assert training.section("cifar").crop == "32×32"
    assert [name for name in NAMES if training.is_warmed_up(spec_of(name).spec)] == ["resnet110"]


# ---- Recipes that are not the paper's ------------------------------------------------------------

OVERRIDES = {  # what `training` overrides, and the row that is not the section's
    "iterations: 640, drops: []": {"iterations", "learning_rate"},
    "batch_size: 64": {"batch_size"},
    "learning_rate: 0.05": {"learning_rate"},
    "drops: [100, 200, 300]": {"learning_rate"},
    "momentum: 0": {"momentum"},
    "weight_decay: 0": {"weight_decay"},
    "padding: 0": {"padding"},
    "padding: 20": {"padding"},
    "flip: false": {"flip"},
    "validation: 7": {"held_out"},
    "warmup: {learning_rate: 0.02, until_training_error: 66.6}": {"warmup"},
    "batch_size: 2, momentum: 0.5": {"batch_size", "momentum"},
}
IMAGENETS_OVERRIDES = {
    "patience: 12": set(),  # the paper names no number
    "patience: 41": set(),
    "patience: null": {"learning_rate"},
    "patience: null, drops: [10, 20]": {"learning_rate"},
    "shorter_side: [224, 300]": {"shorter_side"},
    "colour: 0.2": set(),  # the paper names no deviation
    "colour: 0": {"colour"},
    "flip: false": {"flip"},
}


def rows_of_spec(spec: Path, code: Path) -> dict[str, Row]:
    entry = library.read_network(spec)
    answers = asking.ask(code, rows.questions(entry, code) or {})
    return {row.key.removeprefix("recipe."): row for row in rows.with_paper(entry, answers)}


@pytest.mark.parametrize("line", OVERRIDES)
def test_a_departure_from_section_4_2_differs_and_names_its_line(
    line: str, house: Path, cli: Callable
) -> None:
    write_spec("net.yaml", more=f"training: {{recipe: cifar-paper, {line}}}\n")
    assert cli("generate", "net.yaml").code == 0
    found = rows_of_spec(Path("net.yaml"), Path("generated/cifar/net/train.py"))
    assert {key: row.right for key, row in found.items() if row.right != row.spec} == {}
    differing = {key for key, row in found.items() if row.verdict == "differs"}
    assert differing == OVERRIDES[line]
    for key in differing:
        assert "the spec's recipe sets" in found[key].why and "section 4.2" in found[key].why
        assert found[key].why.split(": ", 1)[0].rsplit(" ", 1)[1] in line


@pytest.mark.parametrize("line", IMAGENETS_OVERRIDES)
def test_a_departure_from_section_3_4_differs(line: str, tmp_path: Path) -> None:
    """On a network for images of 64×64, whose crops and sides are in the paper's proportion."""
    more = f"training: {{recipe: imagenet-paper, {line}}}\n"
    code = generate_tiny(tmp_path, more=more)
    found = rows_of_spec(tmp_path / "tiny.yaml", code / "train.py")
    assert {key: row.right for key, row in found.items() if row.right != row.spec} == {}
    differing = {key for key, row in found.items() if row.verdict == "differs"}
    assert differing == IMAGENETS_OVERRIDES[line] | {"crop", "shorter_side"}
    assert "image_size: 64" in found["crop"].why


def test_the_recipe_of_those_who_followed(tmp_path: Path) -> None:
    code = generate_tiny(tmp_path, more="training: imagenet-30-60-90\n")
    found = rows_of_spec(tmp_path / "tiny.yaml", code / "train.py")
    assert found["learning_rate"].right == "0.1, divided by 10 at 150,137 and 300,273"
    assert found["learning_rate"].verdict == found["iterations"].verdict == "differs"
    assert all(row.right == row.spec for row in found.values())


@pytest.mark.parametrize(
    ("name", "recipe", "verdict", "why"),
    [
        ("resnet110", "cifar-paper", "differs", "no warm-up"),
        ("resnet1202", "cifar-paper-warmup", "explained", "warms up at 110 layers"),
        ("plain110", "cifar-paper", "equal", ""),
        ("resnet56", "cifar-paper", "equal", ""),
    ],
)
def test_who_warms_up(name: str, recipe: str, verdict: str, why: str) -> None:
    entry = library.Entry(spec_of(name).spec, recipes.recipe(recipe), "net.yaml")
    (row,) = (row for row in rows.with_network(entry, None, entry) if row.key == "recipe.warmup")
    found = rows.judge("warmup", entry.recipe, entry.spec)  # as with_paper does
    assert (found[0], why in found[1]) == (verdict, True)
    assert row.left == row.spec


# ---- The command ---------------------------------------------------------------------------------


def recipe_rows(out: str) -> dict[str, dict[str, Any]]:
    found = [row for row in json.loads(out)["rows"] if row["part"] == "recipe"]
    return {row["key"].removeprefix("recipe."): row for row in found}


def test_two_specs_that_differ_in_their_training(house: Path, cli: Callable) -> None:
    write_spec("specs/one.yaml", "one")
    write_spec("specs/other.yaml", "other", more="training: {recipe: cifar-paper, momentum: 0.8}\n")
    assert cli("generate", "--all").code == 0
    code, out, _ = cli("diff", "one", "other", "--json")
    found = recipe_rows(out)
    assert code == 1 and not json.loads(out)["equal"]
    row = found.pop("momentum")
    assert (row["left"], row["spec"], row["right"], row["verdict"]) == (
        "0.8",
        "0.9",
        "0.9",
        "differs",
    )
    assert {row["verdict"] for row in found.values()} == {"equal"}
    code, out, _ = cli("diff", "one", "other")
    assert "recipe, section 4.2" in out and "\nmomentum" in out and "\nbatch size" not in out
    assert cli("diff", "one", "one").code == 0


def test_an_edited_script_in_the_table(cli: Callable, tmp_path: Path) -> None:
    copy = edited(tmp_path, CIFAR, "WEIGHT_DECAY = 1e-4", "WEIGHT_DECAY = 1e-3")
    code, out, err = cli("diff", copy)
    assert (code, err) == (1, "")
    (line,) = (line for line in out.splitlines() if line.startswith("weight decay  "))
    every = "on every parameter"
    assert " ".join(line.split()[2:]) == f"0.0001 0.0001 {every} 0.001 {every} differs"
    assert "weight decay: train.py does not do what the spec's recipe says\n" in out
    code, out, _ = cli("diff", copy, CIFAR)
    assert code == 1 and "weight decay" in out


def test_a_model_alone_has_one_row_that_says_so(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copy(folder(CIFAR) / "model.py", tmp_path / "alone")
    code, out, err = cli("diff", tmp_path / "alone", "--json")
    (row,) = recipe_rows(out).values()
    assert (code, err) == (0, "") and row["right"] == "no train.py"
    assert (row["left"], row["spec"], row["verdict"]) == ("section 4.2", "cifar-paper", "explained")
    code, out, _ = cli("diff", tmp_path / "alone", "resnet110", "--json")
    found = recipe_rows(out)
    assert code == 1 and found["warmup"]["verdict"] == "differs"
    assert found["momentum"]["right"] == "no train.py" and found["momentum"]["verdict"] == "equal"


def test_a_network_without_a_recipe_has_no_row(cli: Callable, tmp_path: Path) -> None:
    generate_tiny(tmp_path, more="image_channels: 4\n")
    out = cli("diff", tmp_path / "tiny.yaml", "--json").out
    assert "recipe" not in out or recipe_rows(out) == {}


@pytest.mark.parametrize(
    ("text", "replacement", "place", "message"),
    [
        ("    return LEARNING_RATE / 10**passed", "    return 1 / 0", ":76:5", "ZeroDivisionError"),
        ("    return LEARNING_RATE / 10**passed", "    return none", ":76:5", "NameError"),
        ("def learning_rate(", "def rate_of(", "", "it has no `learning_rate`"),
        ("    train(trainer, data, run)\n", "", "", "its main() does not call train(trainer"),
        ("inputs = augment(", "inputs = (lambda x, _: x)(", "", "train_step does not call augment"),
        ("import itertools", "import itertools, no_such_package", "", "ModuleNotFoundError"),
        ("    args = parse_arguments()", "    raise SystemExit(3)", "", "SystemExit: 3"),
    ],
)
def test_a_script_that_cannot_be_asked_is_a_sentence(
    text: str, replacement: str, place: str, message: str, cli: Callable, tmp_path: Path
) -> None:
    copy = edited(tmp_path, CIFAR, text, replacement)
    code, out, err = cli("diff", copy)
    assert (code, out) == (2, "") and "Traceback" not in err
    assert message in err and f"{CIFAR}/train.py{place}" in err
    assert "hint: `diff` runs the main() and train() of this file" in err


def test_nothing_is_written_or_downloaded(project: Path, cli: Callable) -> None:
    assert cli("diff", folder(CIFAR)).code == 0
    assert cli("diff", folder("resnet18_a")).code == 0
    assert list(project.iterdir()) == []
