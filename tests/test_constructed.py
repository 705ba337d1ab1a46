"""A deeper network by construction computes what the trained one does, and can be trained on."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from resnet_gen.errors import Failure
from resnet_gen.experiments import constructing, continued
from resnet_gen.experiments.constructed import construct, pairs
from resnet_gen.experiments.definitions import experiment
from resnet_gen.generate.loading import load_folder
from resnet_gen.network.expansion import expand
from resnet_gen.read import library
from resnet_gen.report import tables
from trained_networks import ask_here, checkpoint, make, network_of, train
from training import main


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def here(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(networks)
    ask_here(monkeypatch)
    return networks


def both(root: Path, kind: str, out: Path | None) -> tuple[nn.Module, nn.Module, Tensor]:
    """The shallower network, the deeper one with the weights in `out`, and digits for them.

    The weights are read by the safetensors package, and digits are those that both have not seen.
    """
    learned = checkpoint(root / f"runs/{kind}8-seed0/checkpoint.pt")
    found, _ = load_folder(root / f"generated/cifar/{kind}8").data.load_test(
        "digits", Path(), (3, 32, 32)
    )
    deeper = network_of(root, f"{kind}14", load_file(out) if out else None)
    return network_of(root, f"{kind}8", learned["model"]), deeper, found.pixels - learned["mean"]


@pytest.mark.parametrize("kind", ["a", "b"])
def test_residual_blocks_of_zeros_change_no_bit(here: Path, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "deeper.safetensors"
    made = construct(here / f"runs/{kind}8-seed0", f"{kind}14", out)
    assert made.to_the_bit and made.blocks == 3 and made.images == 1_000
    assert made.errors[0] == made.errors[1]
    shallow, deeper, images = both(here, kind, out)
    with torch.no_grad():
        assert torch.equal(shallow(images), deeper(images))
        assert torch.equal(shallow.train()(images), deeper.train()(images))  # by the batch, too
    assert shallow.state_dict().keys() < deeper.state_dict().keys()


@pytest.mark.parametrize("kind", ["plain", "c"])
def test_identity_kernels_change_roundings_alone(here: Path, kind: str, tmp_path: Path) -> None:
    """Plain blocks, and option C's projections."""
    out = tmp_path / "deeper.safetensors"
    made = construct(here / f"runs/{kind}8-seed0", f"{kind}14", out, images=200)
    assert made.apart < 1e-5 * made.largest and made.blocks == 3
    shallow, deeper, images = both(here, kind, out)
    with torch.no_grad():
        images = images[:100]
        one, other = shallow(images), deeper(images)
        assert (one - other).abs().max() < 1e-5 * one.abs().max()
        exact = shallow.double()(images.double()) - deeper.double()(images.double())
        assert exact.abs().max() < 1e-6 * one.abs().max()  # of gamma's and beta's own roundings


def test_in_training_plain_identities_are_near(here: Path, tmp_path: Path) -> None:
    """Where running statistics are those of the batches, as at the end of a long training."""
    state = checkpoint(here / "runs/plain8-seed0/checkpoint.pt")
    shallow, _, images = both(here, "plain", None)
    for module in shallow.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        shallow(images)
    torch.save(state | {"model": shallow.state_dict()}, tmp_path / "settled.pt")
    out = tmp_path / "deeper.safetensors"
    construct(tmp_path / "settled.pt", "plain14", out, data="digits")
    deeper = network_of(here, "plain14", load_file(out)).train()
    normalising = network_of(here, "plain14", load_file(out)).train()
    for name, module in normalising.named_modules():
        if isinstance(module, nn.BatchNorm2d) and re.match(r"layer\d\.1", name):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        wanted, near, far = shallow(images), deeper(images), normalising(images)
    assert (near - wanted).abs().max() < 0.2 * wanted.abs().max()
    assert (near - wanted).norm() < 0.2 * (far - wanted).norm()


def test_channels_that_are_always_zero_stay_so(here: Path, tmp_path: Path) -> None:
    """Behind a ReLU many are: their variance is 0, and gamma must undo the square root of eps."""
    state = checkpoint(here / "runs/plain8-seed0/checkpoint.pt")
    state["model"]["layer2.0.bn2.bias"][:4] = -100.0
    torch.save(state, tmp_path / "dead.pt")
    made = construct(tmp_path / "dead.pt", "plain14", tmp_path / "a.safetensors", data="digits")
    assert made.apart < 1e-5 * made.largest


def test_it_is_tested_and_trained_by_the_generated_script(
    networks: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made in a process of its own, as a user has it."""
    monkeypatch.chdir(networks)
    out = tmp_path / "deeper.safetensors"
    code, printed, err = cli("weights", "deepen", "runs/a8-seed0", "--to", "a14", "-o", out)
    assert (code, printed) == (0, f"{out}\n"), err
    assert "for 1,000 training images the scores are the same to the bit" in err
    results = json.loads((networks / "runs/a8-seed0/results.json").read_text())
    script, told = load_folder(networks / "generated/cifar/a14").train, io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main(script, "--data", "digits", "--evaluate", out) == 0
    assert f"test error {results['test_error']:.2f}%" in told.getvalue()
    train(networks, "a14", tmp_path / "run", "--init", out, "--iterations", 2)
    after = checkpoint(tmp_path / "run/checkpoint.pt")["model"]
    assert after["layer1.1.bn2.weight"].abs().max() > 0  # it learns
    with safe_open(out, "pt") as file:
        said = file.metadata()
    assert said["network"] == "a14" and said["constructed_from"] == "a8"
    assert said["network_sha256"] == library.network("a14").network_sha256


# ---- What must not pass --------------------------------------------------------------------------


def off_centre(state: dict[str, Tensor], *_: object) -> None:
    for name, value in state.items():
        if name.endswith("1.conv1.weight"):
            value.zero_()
            value[range(len(value)), range(len(value)), 0, 0] = 1


def not_zero(state: dict[str, Tensor], *_: object) -> None:
    for name, value in state.items():
        if name.endswith("1.bn2.bias"):
            value.fill_(1e-6)


def nothing(*_: object) -> None:
    pass


def not_finite(state: dict[str, Tensor], *_: object) -> None:
    not_zero(state)
    state["layer3.1.bn2.bias"].fill_(torch.nan)


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        *(("plain", off_centre), ("plain", nothing), ("plain", not_finite)),
        *(("a", not_zero), ("a", nothing), ("a", not_finite)),
    ],
)
def test_a_broken_construction_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, broken: Callable
) -> None:
    real = constructing.make_identity

    def make_identity(*given: object) -> None:
        if broken is not nothing:
            real(*given)
        broken(*given)

    monkeypatch.setattr(constructing, "make_identity", make_identity)
    run, out = here / f"runs/{kind}8-seed0", tmp_path / "a.safetensors"
    with pytest.raises(Failure, match=r"its scores are \S+ from") as caught:
        construct(run, f"{kind}14", out, images=100)
    assert caught.value.exit_code == 3 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("deeper", "told"),
    [
        ("a8", r"its stages have \[1, 1, 1\] blocks, not more than \[1, 1, 1\]"),
        ("b14", "its shortcut is B, not A"),
        ("resnet20", "its width is 16, not 4"),
        ("resnet34_a", "its block is basic"),
    ],
)
def test_networks_that_differ_in_more_than_depth(
    here: Path, tmp_path: Path, deeper: str, told: str
) -> None:
    with pytest.raises(Failure, match=told):
        construct(here / "runs/a8-seed0", deeper, tmp_path / "a.safetensors")


def test_no_file_of_others_is_overwritten(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    given = ("weights", "deepen", "runs/a8-seed0", "--to", "a14")
    code, _, err = cli(*given, "-o", out)
    assert code == 2 and "was not made by" in err and out.read_text() == "mine"
    out.unlink()
    for _ in range(2):
        assert cli(*given, "-o", out).code == 0  # its own may be
    assert cli(*given, "-o", tmp_path / "a.pt").code == 2
    (tmp_path / "folder.safetensors").mkdir()
    code, _, err = cli(*given, "-o", tmp_path / "folder.safetensors")
    assert code == 2 and "folder.safetensors: error[file]: cannot be written" in err
    code, _, err = cli("weights", "deepen", "nowhere", "--to", "a14", "-o", out)
    assert code == 2 and "there is no such file" in err


# ---- The experiment ------------------------------------------------------------------------------


def test_the_experiments_pairs() -> None:
    networks = experiment("constructed").networks
    found = pairs(networks)
    assert sorted(found) == [("plain20", "plain56"), ("resnet20", "resnet56")]
    added = [
        constructing.added_blocks(*(expand(library.network(n).spec) for n in p)) for p in found
    ]
    assert [len(blocks) for blocks in added] == [18, 18] and added[0][:2] == [
        "layer1.3",
        "layer1.4",
    ]


def test_what_training_makes_of_it(here: Path, tmp_path: Path) -> None:
    for name in ("a8", "plain8"):
        (tmp_path / f"{name}-seed0").symlink_to(here / f"runs/{name}-seed0")
    names = ["plain8", "plain14", "a8", "a14"]
    planned = continued.continued(names, dict.fromkeys(names, 1))
    assert [run.name for run in planned] == ["plain14-from-plain8-seed0", "a14-from-a8-seed0"]
    assert continued.outcomes(planned, tmp_path) == []
    for run in planned:
        init = continued.weights_for(run, tmp_path)
        before = init.read_bytes()
        train(here, run.deeper, tmp_path / run.name, "--init", init, "--iterations", 6)
        assert continued.weights_for(run, tmp_path).read_bytes() == before  # it began with these
    train(here, "a14", tmp_path / "a14-seed0", "--iterations", 6)
    plain, residual = continued.outcomes(planned, tmp_path)
    assert residual.compared.to_the_bit and not plain.compared.to_the_bit
    assert plain.iterations == residual.iterations == 6 and plain.fresh is None
    lines = (tmp_path / "a14-seed0/metrics.jsonl").read_text().splitlines()
    assert residual.fresh == json.loads(lines[-1])["train_error"]  # each step was validated
    row, other = tables.constructed([plain, residual])
    assert not row["equal_to_the_bit"] and row["scores_apart"] > 0 and row["iterations"] == 6
    assert other["equal_to_the_bit"] and other["train_error_fresh"] == residual.fresh
    (tmp_path / planned[0].name / continued.COMPARED).write_text("[]")
    with pytest.raises(Failure, match="cannot be read"):
        continued.outcomes(planned, tmp_path)
