"""Edits of generated train.py files: those that change the training, and those that do not."""

from __future__ import annotations

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
FOLLOW = {  # rows that such an edit changes too
    "AdamW": {"momentum"},
    "a warm-up without end": {"learning_rate"},
    "photographs' deviations": {"colour"},
    "smaller crops": {"padding"},
    "upside down": {"crop", "padding"},
}
