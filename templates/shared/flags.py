"""The flags of every training script, and the device and precision that they choose."""

import argparse
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import torch

from distributed import LOCAL_RANK, RANKS, fail


class SetElsewhere(argparse.Action):
    """A flag that many training scripts have: ends with a sentence on where it is set here."""

    def __call__(self, parser: ArgumentParser, _: Namespace, __: object, flag: Any = None) -> None:
        parser.error(f"{flag}: {self.const}")


def flags(about: str, network: str, iterations: int, batch_size: int) -> ArgumentParser:
    """The flags of every training script; train.py adds its own. `about` begins --help."""
    raw = argparse.RawDescriptionHelpFormatter
    # Without the usage, which only repeats the options, --help begins with commands to copy.
    parser = ArgumentParser(
        usage=SUPPRESS, description=about, formatter_class=raw, allow_abbrev=False
    )
    add = parser.add_argument
    add("--out", type=Path, help=f"folder that the run is written into; default: runs/{network}")
    auto = "default: auto, the fastest here"
    add("--device", choices=["auto", "cpu", "cuda", "mps"], help=f"device to train on; {auto}")
    add(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        help=f"bf16: forward pass in autocast; {auto}",
    )
    add("--iterations", type=int, help=f"training iterations; default: {iterations:,}")
    add(
        "--batch-size",
        type=int,
        help=f"images per iteration, over all ranks; default: {batch_size}",
    )
    add("--seed", type=int, help="seed of weights, order of images and augmentation; default: 0")
    add("--eager", action="store_true", help="use neither CUDA graphs nor torch.compile")
    add("--resume", action="store_true", help="go on from OUT/checkpoint.pt, if it is there")
    add("--tensorboard", action="store_true", help="write the figures for TensorBoard too")
    add_flags_of_weights(parser)
    parser.set_defaults(out=Path("runs", network), device="auto", precision="auto", seed=0)
    parser.set_defaults(iterations=iterations, batch_size=batch_size)
    where = "in the recipe at the top of train.py, or under `training` in the network's spec"
    for names, constant in {
        ("--lr", "--learning-rate"): "LEARNING_RATE",
        ("--momentum",): "MOMENTUM",
        ("--weight-decay", "--wd"): "WEIGHT_DECAY",
    }.items():
        add(*names, nargs="?", action=SetElsewhere, const=f"set {constant} {where}", help=SUPPRESS)
    epochs = "the paper counts iterations: --iterations is epochs × images / --batch-size"
    add("--epochs", nargs="?", action=SetElsewhere, const=epochs, help=SUPPRESS)
    return parser


def parse(parser: ArgumentParser) -> Namespace:
    """The arguments, with device and precision decided."""
    args = parser.parse_args()
    check_flags_of_weights(parser, args)
    if min(args.iterations, args.batch_size) < 1 or not 0 <= args.seed < 2**32:
        parser.error("--iterations and --batch-size must be at least 1, --seed 0 to 2**32 - 1")
    if args.batch_size % RANKS:
        parser.error(f"--batch-size {args.batch_size} cannot be shared among {RANKS} ranks")
    args.device = pick_device(args.device)
    args.precision = pick_precision(args.precision, args.device)
    return args


def add_flags_of_weights(parser: ArgumentParser) -> None:
    """The flags that name weights, but for --evaluate, and what needs no --data."""
    add = parser.add_argument
    init = "begin with the weights of a checkpoint or a .safetensors file of this network"
    add("--init", type=Path, metavar="WEIGHTS", help=init)
    add("--new-head", action="store_true", help="with --init: draw the last layer anew")
    predict = "print the likeliest classes of images, by --evaluate's weights or OUT/best.pt"
    add("--predict", type=Path, nargs="+", metavar="IMAGE", help=predict)


def check_flags_of_weights(parser: ArgumentParser, args: Namespace) -> None:
    """Ends the script where flags that concern weights do not go together."""
    if not args.data and not args.predict:
        parser.error("the following arguments are required: --data")
    if args.new_head and not args.init:
        parser.error("--new-head needs --init: without it, every layer is drawn anew")
    if args.init and (args.evaluate or args.predict):
        parser.error("--init is where training begins: --evaluate and --predict do not train")


def pick_device(name: str) -> torch.device:
    """The device that was asked for; `auto` is the fastest one here."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    if not {"cuda": cuda, "mps": mps, "cpu": True}[name]:
        fail(f"there is no {name} device here", exit_code=4)
    if name == "cuda":
        if torch.cuda.device_count() <= LOCAL_RANK:
            fail(
                f"this machine has {torch.cuda.device_count()} GPUs, fewer than ranks", exit_code=4
            )
        torch.cuda.set_device(LOCAL_RANK)
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """The precision that was asked for; `auto` is bf16 where the hardware has instructions."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and (cpu_has("avx512_bf16") or cpu_has("amx_bf16")):
        return "bf16"
    return "fp32"


def cpu_has(instructions: str) -> bool:
    """Whether the processor has them, as far as this version of torch can tell."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get(instructions))
