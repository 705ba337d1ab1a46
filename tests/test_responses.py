"""`resnet-gen responses`: deviations are those that numpy finds in what layers put out."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import small_networks
from conftest import CIFAR, ROOT, network_class
from resnet_gen.errors import Failure
from resnet_gen.generate.loading import load_folder
from resnet_gen.network.expansion import expand
from resnet_gen.read import library
from resnet_gen.responses import drawing, images, measuring
from resnet_gen.responses.measuring import Responses, layers_of, measure
from resnet_gen.responses.spread import Spread
from small_networks import built, mean_of, save
from test_plot import texts
from trained_networks import ask_here

DIGITS = {"data": "digits"}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_networks.make(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def here(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(networks)
    ask_here(monkeypatch)
    return networks


def digits(count: int) -> Tensor:
    """Every 360th part of the 360 test images of digits, as the generated code reads them."""
    code = load_folder(ROOT / "generated/cifar/resnet20")
    found, _ = code.data.load_test("digits", Path(), (3, 32, 32))
    return found.pixels[:: 360 // count].float()


def by_hand(network: nn.Module, inputs: Tensor, norms: list[str]) -> list[float]:
    """What numpy says of everything that these modules put out, in one piece and in float64."""
    found: dict[str, Any] = {}
    for name in norms:
        module = network.get_submodule(name)
        assert isinstance(module, nn.BatchNorm2d)
        module.register_forward_hook(lambda *call, name=name: found.update({name: call[2]}))
    with torch.no_grad():
        network(inputs)
    return [float(numpy.std(found[name].numpy().astype(numpy.float64))) for name in norms]


NORMS = ["bn1", *(f"layer{k}.0.bn{j}" for k in (1, 2, 3) for j in (1, 2))]
LAYERS = tuple(name.replace("bn", "conv") for name in NORMS)


@pytest.mark.parametrize("name", ["small", "plain"])
def test_deviations_are_those_of_numpy(here: Path, name: str) -> None:
    (found,) = measure([Path(f"{name}.pt")], **DIGITS, images=120)
    expected = by_hand(built(here, name), digits(120) - mean_of(name), NORMS)
    assert found.layers == LAYERS and len(LAYERS) == 7  # 6n+1
    assert found.deviations == pytest.approx(expected, rel=1e-5)
    assert found.mean == pytest.approx(numpy.mean(expected), rel=1e-5)
    assert (found.network, found.plain) == (name, name == "plain")
    assert (found.iterations, found.data, found.images) == (4, "digits", 120)


def test_bottlenecks_have_one_layer_each(here: Path, pictures: Path) -> None:
    (found,) = measure([Path("deep.pt")], data=str(pictures))
    assert found.layers == tuple(f"layer{k}.0.conv2" for k in (1, 2, 3, 4))
    code = load_folder(here / "generated/imagenet/deep")
    part = code.folder.open_tested(pictures)
    one_crop = code.train.TESTS["1-crop"].views
    shown = torch.cat([one_crop(code.folder.read_image(path))[0] for path, _ in part.samples])
    norms = [name.replace("conv", "bn") for name in found.layers]
    expected = by_hand(built(here, "deep"), shown - mean_of("deep"), norms)
    assert found.deviations == pytest.approx(expected, rel=1e-5) and found.images == len(shown)


def test_a_batch_norm_of_its_own_batch_has_the_deviation_of_gamma_and_beta(here: Path) -> None:
    """By its definition: each channel has mean beta and standard deviation gamma."""
    network, mean = built(here, "small").train(), mean_of("small")
    norms = [network.get_submodule(name) for name in NORMS]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network(digits(360) - mean)
        expected = [math.sqrt(n.weight.square().mean() + n.bias.var(correction=0)) for n in norms]
    save(here / "own.pt", library.network("small"), network)
    (found,) = measure([Path("own.pt")], **DIGITS)
    assert found.deviations == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", [name for name in CIFAR if name != "resnet1202"])
def test_a_network_of_the_paper_has_6n_plus_1_layers(name: str) -> None:
    spec = library.network(name).spec
    layers = layers_of(expand(spec))
    assert len(layers) == spec.depth - 1
    with torch.device("meta"):
        model = network_class(name)()
    for layer, norm in layers.items():
        assert model.get_submodule(layer).kernel_size == (3, 3)
        assert isinstance(model.get_submodule(norm), nn.BatchNorm2d)


@pytest.mark.parametrize("of_channels", [False, True])
def test_parts_are_joined_exactly(of_channels: bool) -> None:
    values = 1e6 + numpy.random.default_rng(0).standard_normal((50, 3, 4, 5)) * [
        [[[1]], [[2]], [[3]]]
    ]
    spread = Spread(of_channels=of_channels)
    for part in (values[:1], values[1:20], values[20:]):
        spread.add(torch.from_numpy(part))
    over = (0, 2, 3) if of_channels else None
    assert spread.mean.numpy() == pytest.approx(values.mean(over), rel=1e-12)
    assert spread.variance.numpy() == pytest.approx(values.var(over), rel=1e-8)


def test_images_are_evenly_spaced() -> None:
    """A folder's images are sorted by their classes."""
    assert images._spaced(360, 4) == [0, 90, 180, 270]
    assert images._spaced(3, 1_000) == [0, 1, 2]


# ---- What is written -----------------------------------------------------------------------------


def test_the_files_in_a_process_of_its_own(
    networks: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(networks)
    out = tmp_path / "figure7"
    code, printed, err = cli("responses", "small.pt", "--data", "digits", "-o", out)
    assert code == 0, err
    assert printed == f"{out}.svg\n{out}.png\n{out}.csv\n"
    assert err == "small.pt: small, after 4 iterations, shown 360 test images of digits\n"
    with Path(f"{out}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(row["layer"] for row in rows) == LAYERS
    expected = by_hand(built(networks, "small"), digits(360) - mean_of("small"), NORMS)
    assert [float(row["standard_deviation"]) for row in rows] == pytest.approx(expected, rel=1e-5)
    assert {row["network"] for row in rows} == {"small"} == {row["run"] for row in rows}
    assert {(row["iterations"], row["images"]) for row in rows} == {("4", "360")}
    assert {"small", "after 4 iterations", "of digits"} <= set(texts(Path(f"{out}.svg")))
    ask_here(monkeypatch)
    assert cli("responses", "small.pt", "--data", "digits", "-o", out).code == 0  # made by it


def made_up(network: str, seed: int, size: float) -> Responses:
    values = tuple(size * (1 + (7 * k + seed) % 5) for k in range(7))
    plain = network.startswith("plain")
    return Responses(network, Path(f"runs/{network}-seed{seed}"), LAYERS, values, plain)


def lines(axes: Any) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


def test_the_figure_has_the_layers_in_order_and_sorted() -> None:
    found = [made_up("plain8", 0, 2.0), made_up("small", 0, 1.0)]
    original, descending = drawing.draw(found, "5$").axes
    assert lines(original) == {each.network: list(each.deviations) for each in found}
    assert lines(descending) == {e.network: sorted(e.deviations, reverse=True) for e in found}
    plain, residual = original.get_lines()
    assert plain.get_linestyle() == "--" and residual.get_linestyle() == "-"
    assert plain.get_color() == residual.get_color()  # of one depth
    assert original.get_ylim()[0] == 0 and original.get_ylim()[1] > 10


def test_a_network_that_dwarfs_the_others_leaves_them_room() -> None:
    found = [made_up("small", 0, 1.0), made_up("plain8", 0, 1_000.0), made_up("a", 1, 1.0)]
    for axes in drawing.draw(found).axes:
        low, high = axes.get_ylim()
        assert axes.get_yscale() == "log" and 0.5 < low < 1 and high > 5_000
    none = Responses("zero", Path("zero"), LAYERS, (0.0,) * 7)
    assert drawing.draw([none]).axes[0].get_ylim() == (0, 1)


def test_seeds_are_drawn_as_their_mean_in_a_band() -> None:
    found = [made_up("small", seed, 1.0) for seed in (0, 1, 3)]
    values = numpy.array([each.deviations for each in found])
    original, descending = drawing.draw(found, mean=True).axes
    assert lines(original) == {"small, mean of 3": pytest.approx(values.mean(0).tolist())}
    by_size = -numpy.sort(-values, axis=1)
    assert lines(descending) == {"small, mean of 3": pytest.approx(by_size.mean(0).tolist())}
    (band,) = original.collections
    corners = band.get_paths()[0].vertices
    for place, (low, high) in enumerate(zip(values.min(0), values.max(0), strict=True), start=1):
        assert {low, high} <= set(corners[corners[:, 0] == place, 1])
    each = drawing.draw(found).axes[0].get_lines()
    assert len(each) == 3 == len({line.get_color() for line in each})


def test_numbers_of_a_recorded_run_are_read_again(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    """Of a run whose checkpoint is not kept, responses.csv is."""
    run = tmp_path / "run"
    run.mkdir()
    given = ("--data", "digits", "--images", 40)
    assert cli("responses", "small.pt", *given, "-o", run / "responses").code == 0
    (before,), (again,) = measure([Path("small.pt")], **DIGITS, images=40), measure([run])
    assert again.deviations == before.deviations and again.layers == before.layers
    assert (again.network, again.path, again.iterations) == ("small", run, 4)
    assert (again.plain, again.data, again.images) == (False, "digits", 40)
    table = run / "responses.csv"
    text = table.read_text()
    for broken in ("network\n", text.replace(",2,layer1", ",3,layer1"), text + "x", text[:-20]):
        table.write_text(broken)
        code, _, err = cli("responses", run, "-o", tmp_path / "again")
        assert code == 2 and "cannot be read as a table of responses" in err, broken
    assert not (tmp_path / "again.svg").exists()


# ---- What is refused -----------------------------------------------------------------------------


def test_a_run_says_which_images_it_had(here: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("checkpoint.pt", "best.pt"):
        step = {"step": 9 if name == "checkpoint.pt" else 5}
        save(run / name, library.network("small"), built(here, "small"), progress=step)
    with pytest.raises(Failure, match="does not say which images it was trained on"):
        measure([run])
    (run / "results.json").write_text('{"data": "digits"}')
    (found,) = measure([run], images=20)
    assert (found.data, found.iterations) == ("digits", 9)  # the last weights, not the best
    (run / "checkpoint.pt").unlink()
    assert measure([run], images=20)[0].iterations == 5


def test_the_root_is_that_of_the_runs_command(here: Path, tmp_path: Path) -> None:
    small = library.network("small")
    save(tmp_path / "best.pt", small, built(here, "small"), same={"data": "cifar10"})
    (tmp_path / "manifest.json").write_text('{"command": ["train.py", "--root", "nowhere/else"]}')
    found = measuring.finding.find(tmp_path, Path("generated"))
    assert (found.data, found.root) == ("cifar10", Path("nowhere/else"))


def test_mistakes_are_told_before_anything_is_measured(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    def told(*arguments: object) -> str:
        code, out, err = cli("responses", *arguments, "-o", tmp_path / "out")
        assert code == 2 and out == "" and "Traceback" not in err
        return str(err)

    (tmp_path / "empty").mkdir()
    given = ("--data", "digits")
    both = told("missing.pt", tmp_path / "empty", "small.pt", *given)
    assert "there is no such file" in both and "no checkpoint.pt and no best.pt" in both
    assert "shown" not in both
    assert "there is neither a folder data/nowhere" in told("small.pt", "--data", "nowhere")
    state = built(here, "small").state_dict()
    said = {"format": "resnet-gen weights 1", "network": "gone", "network_sha256": "0"}
    save_file(state, tmp_path / "gone.safetensors", said)
    assert "no spec here is of that network" in told(tmp_path / "gone.safetensors", *given)
    said |= {"network": "small", "network_sha256": library.network("small").network_sha256}
    save_file(state, tmp_path / "mean.safetensors", said)
    assert "which mean was subtracted" in told(tmp_path / "mean.safetensors", *given)
    small = library.network("small")
    save(tmp_path / "wide.pt", small, built(here, "small"), network_sha256="0")
    assert "it is of another small" in told(tmp_path / "wide.pt", *given)
    diverged = built(here, "small")
    nn.init.constant_(diverged.get_submodule("bn1").weight, 1e38)
    save(tmp_path / "diverged.pt", small, diverged)
    assert "not finite" in told(tmp_path / "diverged.pt", *given)
    for kind in ("svg", "png", "csv"):
        (tmp_path / f"out.{kind}").write_text("mine")
        assert "was not made by `resnet-gen responses`" in told("small.pt", *given)
        assert (tmp_path / f"out.{kind}").read_text() == "mine"
        (tmp_path / f"out.{kind}").unlink()


def test_a_network_is_found_by_its_hash_under_another_name(here: Path, tmp_path: Path) -> None:
    save(tmp_path / "a.pt", library.network("small"), built(here, "small"), network="renamed")
    (found,) = measure([tmp_path / "a.pt"], **DIGITS, images=10)
    assert found.network == "small"


def test_edited_code_is_told_of(here: Path, tmp_path: Path, cli: Callable) -> None:
    model = here / "generated/cifar/small/model.py"
    text = model.read_text()
    given = ("small.pt", "--data", "digits", "-o", tmp_path / "a")
    try:
        model.write_text(
            text.replace("x = self.layer3(x)", "x = F.pad(x[:, :, ::2, ::2], [0] * 5 + [8])")
        )
        code, _, err = cli("responses", *given)
        assert code == 2 and "its forward pass does not run layer3.0.bn1" in err
        assert "was edited by hand" in err
        model.write_text(text.replace("x = self.layer3(x)", "raise SystemExit('no')"))
        code, _, err = cli("responses", *given)
        assert code == 2 and "model.py:" in err and "SystemExit: no" in err
    finally:
        model.write_text(text)
