"""hubconf.py: torch.hub finds every network, and generate keeps the file as it keeps others."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from conftest import NAMES, ROOT, SMALL, VGG, folder, network_class, spec_of
from one_network import HUB, NET, SPEC_PATH, edit, write_spec
from resnet_gen.generate.loading import load as load_code
from resnet_gen.read import library
from test_generated import PAPER_ERRORS, counts
from test_rooms import imports


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone has, without the package: a hub's cache calls it owner_repository_branch."""
    root = tmp_path_factory.mktemp("hub") / "somebody_networks_main"
    shutil.copytree(ROOT / "generated", root / "generated")
    shutil.copy(ROOT / "hubconf.py", root)
    return root


@pytest.fixture
def cached(clone: Path) -> Iterator[str]:
    """The clone as torch.hub would have downloaded it."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(clone.parent))
    yield "somebody/networks:main"
    torch.hub.set_dir(before)


def load(clone: Path, name: str, **more: Any) -> Any:
    return torch.hub.load(str(clone), name, source="local", **more)


def test_it_lists_every_network_and_nothing_else(cached: str) -> None:
    assert torch.hub.list(cached, trust_repo=True, verbose=False) == sorted([*NAMES, SMALL])


@pytest.mark.parametrize("name", NAMES)
def test_its_help_is_a_line_of_the_papers_figures(cached: str, name: str) -> None:
    text = torch.hub.help(cached, name, trust_repo=True)
    assert "\n" not in text and len(text) < 90
    error = PAPER_ERRORS.get(name, "not reported in the paper")
    assert f"{counts(name)[0]:,} parameters, error {error}." in text


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_point_is_of_its_network(clone: Path, name: str) -> None:
    point = vars(hubconf(clone / "generated"))[name]
    point.__globals__["_network"] = lambda *given: given
    place, class_name, sha256, classes, weights = point()
    assert load_code(clone / "generated" / place / "model.py").__all__ == [class_name]
    assert place == spec_of(name).folder.as_posix()
    assert sha256 == spec_of(name).network_sha256
    if name not in VGG:
        assert f'NETWORK_SHA256 = "{sha256}"' in (folder(name) / "train.py").read_text()
    assert (classes, weights) == (spec_of(name).spec.classes, None)


def test_networks_in_one_process_are_not_mistaken_for_each_other(clone: Path) -> None:
    """Where each folder has a model.py."""
    for name in ("resnet20", "plain20", "resnet18_a", "resnet50_b", "resnet50_v1_5"):
        model = load(clone, name, num_classes=7)
        own = clone / "generated" / spec_of(name).folder / "model.py"
        assert Path(module_of(model).__file__) == own
        assert model.fc.out_features == 7


def hubconf(root: Path) -> Any:
    return torch.hub._import_module("hubconf", str(root / "hubconf.py"))  # type: ignore[attr-defined]


def test_it_needs_torch_alone() -> None:
    """And safetensors for files of that kind; resnet_gen for nothing."""
    assert imports(ROOT / "generated/hubconf.py") == {"torch", "safetensors"}
    assert imports(ROOT / "hubconf.py") == set()


def test_two_clones_are_not_mistaken_for_each_other(clone: Path, tmp_path: Path) -> None:
    other = shutil.copytree(clone, tmp_path / "clone")
    path = other / "generated/cifar/resnet20/model.py"
    path.write_text(path.read_text().replace("class ResNet20", "mine = 1\n\n\nclass ResNet20"))
    one, two = load(clone, "resnet20"), load(other, "resnet20")
    assert not hasattr(module_of(one), "mine") and module_of(two).mine == 1
    assert type(load(clone, "resnet20")) is type(one)  # and the file is run once


def module_of(model: Any) -> Any:
    return sys.modules[type(model).__module__]


def test_the_model_can_be_pickled(clone: Path, tmp_path: Path) -> None:
    """Which wants its module to be importable, as torch.compile does."""
    model = load(clone, "resnet20")
    torch.save(model, tmp_path / "whole.pt")
    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert type(again) is type(model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network of three classes, and a checkpoint of it."""
    model = network_class("resnet20")(num_classes=3)
    path = tmp_path_factory.mktemp("trained") / "best.pt"
    sha256 = spec_of("resnet20").network_sha256
    had = {"network": "resnet20", "network_sha256": sha256, "model": model.state_dict()}
    torch.save(had | {"classes": ["a", "b", "c"], "mean": torch.rand(3, 32, 32) * 255}, path)
    return model, path


def test_weights_of_a_checkpoint_and_of_a_weights_file(
    clone: Path, trained: tuple[Any, Path], tmp_path: Path
) -> None:
    model, checkpoint = trained
    weights = tmp_path / "resnet20.safetensors"
    metadata = {"network_sha256": spec_of("resnet20").network_sha256}
    save_file(model.state_dict(), weights, metadata)
    images = torch.randn(2, 3, 32, 32)
    for path in (checkpoint, str(checkpoint), weights):
        loaded = load(clone, "resnet20", num_classes=3, weights=path)
        assert torch.equal(loaded(images), model(images))
    with pytest.raises(RuntimeError, match="size mismatch for fc"):
        load(clone, "resnet20", weights=checkpoint)
    save_file(model.state_dict(), weights, {"network": "resnet21"})
    with pytest.raises(ValueError, match="is of another network: resnet21"):
        load(clone, "resnet20", num_classes=3, weights=weights)


def test_weights_of_another_network_or_a_damaged_file(
    clone: Path, trained: tuple[Any, Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="is of another network: resnet20"):
        load(clone, "plain20", num_classes=3, weights=trained[1])  # of the same keys and shapes
    torch.save({"state_dict": trained[0].state_dict()}, tmp_path / "others.pt")
    with pytest.raises(ValueError, match="is of another network: it names none"):
        load(clone, "resnet20", num_classes=3, weights=tmp_path / "others.pt")
    content = bytearray(trained[1].read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.pt").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged, in its part"):
        load(clone, "resnet20", num_classes=3, weights=tmp_path / "damaged.pt")


def test_weights_say_what_they_were_trained_on(
    clone: Path, trained: tuple[Any, Path], tmp_path: Path
) -> None:
    had = torch.load(trained[1])
    loaded = load(clone, "resnet20", num_classes=3, weights=trained[1])
    assert loaded.classes == ["a", "b", "c"] and torch.equal(loaded.mean, had["mean"])
    assert loaded.std.tolist() == [[[1]]] * 3
    assert loaded.state_dict().keys() == trained[0].state_dict().keys()
    weights = tmp_path / "resnet20.safetensors"
    metadata = {"network_sha256": had["network_sha256"], "classes": '["a", "b", "ä"]'}
    metadata["input"] = json.dumps({"order": "rgb", "mean": [1.0, 2.0, 3.0], "std": [4.0] * 3})
    save_file(had["model"], weights, metadata)
    loaded = load(clone, "resnet20", num_classes=3, weights=weights)
    assert loaded.classes == ["a", "b", "ä"]
    assert loaded.mean.tolist() == [[[1]], [[2]], [[3]]] and loaded.std.tolist() == [[[4]]] * 3
    assert loaded.double().mean.dtype == torch.float64  # as .to(device) takes it along
    save_file(had["model"], weights, {"network_sha256": had["network_sha256"]})
    loaded = load(clone, "resnet20", num_classes=3, weights=weights)
    assert loaded.classes is None and not hasattr(loaded, "mean")


def test_pretrained_takes_the_weights_beside_it(
    clone: Path, trained: tuple[Any, Path], tmp_path: Path
) -> None:
    root = shutil.copytree(clone, tmp_path / "clone")
    shutil.rmtree(root / "generated/weights", ignore_errors=True)
    with pytest.raises(ValueError, match=r"no weights of resnet20 in .*, but of: none"):
        load(root, "resnet20", pretrained=True)
    (root / "generated/weights").mkdir()
    metadata = {"network_sha256": spec_of("resnet20").network_sha256}
    save_file(trained[0].state_dict(), root / "generated/weights/resnet20.safetensors", metadata)
    loaded = load(root, "resnet20", num_classes=3, pretrained=True)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded(images), trained[0](images))
    with pytest.raises(ValueError, match=r"no weights of resnet32 in .*, but of: resnet20"):
        load(root, "resnet32", pretrained=True)
    with pytest.raises(ValueError, match="`weights` or `pretrained`, not both"):
        load(root, "resnet20", weights=trained[1], pretrained=True)


def test_a_checkpoint_cannot_run_code(clone: Path, tmp_path: Path) -> None:
    torch.save({"model": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(Exception, match="Weights only load failed"):
        load(clone, "resnet20", weights=tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


# ---- The file among the generated ones -----------------------------------------------------------


def checked(cli: Callable) -> list[str]:
    lines = cli("generate", "--all", "--check").out.splitlines()
    return [line for line in lines if line.startswith(HUB.as_posix())]


def test_it_lists_the_networks_that_are_generated_there(net: Path, cli: Callable) -> None:
    write_spec("specs/cifar/other.yaml", "other", 26)
    assert checked(cli) == [f"{HUB}: the specs changed"]
    assert cli("generate", "other").code == 0
    assert checked(cli) == [f"{HUB}: the specs changed"]  # which is --all's to write
    assert cli("generate", "--all").code == 0 and checked(cli) == []
    found = hubconf(HUB.parent)
    assert [name for name in ("net", "other", "resnet20") if hasattr(found, name)] == [
        *("net", "other")
    ]
    assert type(found.other()).__name__ == "Other"


def test_a_recipe_does_not_change_it(net: Path, cli: Callable) -> None:
    write_spec(SPEC_PATH, more="training: {recipe: cifar-paper, learning_rate: 0.05}\n")
    assert cli("generate", "--all", "--check").code == 1 and checked(cli) == []
    write_spec(SPEC_PATH, more="width: 8\n")
    assert checked(cli) == [f"{HUB}: the specs changed"]


def test_an_edit_is_kept(net: Path, cli: Callable) -> None:
    edit(HUB)
    assert checked(cli) == [f"{HUB}: edited by hand"]
    write_spec("specs/cifar/other.yaml", "other")
    assert checked(cli) == [f"{HUB}: edited by hand; the specs changed too"]
    code, _, err = cli("generate", "--all")
    assert code == 1 and f"kept {HUB}" in err and HUB.read_text().endswith("# mine\n")
    HUB.write_text("dependencies = []\n")
    assert checked(cli) == [f"{HUB}: not made by resnet-gen"]
    (net / SPEC_PATH).unlink()
    (net / "specs/cifar/other.yaml").unlink()
    assert checked(cli) == []  # somebody's own, in a folder without networks


def test_it_goes_with_the_last_network(net: Path, cli: Callable) -> None:
    (net / SPEC_PATH).unlink()
    assert checked(cli) == [f"{HUB}: there are no networks"]
    edit(HUB)
    code, _, err = cli("generate", "--all", "--prune")
    assert code == 1 and f"kept {HUB} (edited by hand; there are no networks; delete it" in err
    HUB.write_text(HUB.read_text().removesuffix("# mine\n"))
    assert cli("generate", "--all", "--prune").code == 0
    assert not HUB.exists() and not NET.exists() and HUB.parent.is_dir()


def test_a_name_that_the_file_needs_has_no_entry_point(net: Path, cli: Callable) -> None:
    for name in ("torch", "dependencies", "int", "_own"):
        write_spec(f"specs/cifar/{name}.yaml", name)
    code, _, err = cli("generate", "--all")
    assert code == 0, err
    found = hubconf(HUB.parent)
    assert found.torch is torch and found.dependencies == ["torch"] and found.net()
    assert "Without one, for their names: _own, dependencies, int, torch." in found.__doc__
    assert len(library.all_networks()) == 5
