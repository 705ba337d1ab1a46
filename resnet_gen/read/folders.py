"""Where specs and templates lie, and which file is of which kind.

A `specs/` folder of the user's own comes before the one that ships with the package, file by file.
"""

from __future__ import annotations

from pathlib import Path

from resnet_gen.read.yaml_source import yaml_files

NOT_NETWORKS = {"recipes", "paper", "schema", "experiments", "weights", "layouts", "detection"}


def package_folder(name: str) -> Path:
    """`specs` or `templates` as installed with the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def folders(name: str) -> list[Path]:
    """The user's folder first, then the package's; the same folder only once."""
    own, shipped = Path(name), package_folder(name)
    if not own.is_dir() or own.resolve() == shipped:
        return [shipped]
    return [own, shipped]


def recipe_files() -> dict[str, Path]:
    """Every recipe's file by its stem; the user's own win."""
    return _by_stem("recipes")


def table_files() -> dict[str, Path]:
    """Every file of the paper's tables by its stem; the user's own win."""
    return _by_stem("paper")


def experiment_files() -> dict[str, Path]:
    """Every experiment's file by its stem, and that of their sizes; the user's own win."""
    return _by_stem("experiments")


def detector_files() -> dict[str, Path]:
    """Every detector's spec by its stem; the user's own win."""
    return _by_stem("detection")


def network_files() -> dict[str, Path]:
    """Every network's spec by its path below `specs/`.

    A shipped one gives way to a user's file of the same stem, wherever that stands.
    """
    own, shipped = Path("specs"), package_folder("specs")
    files = {path.relative_to(shipped).as_posix(): path for path in networks_in(shipped)}
    if own in folders("specs"):
        mine = {path.relative_to(own).as_posix(): path for path in networks_in(own)}
        stems = {path.stem for path in mine.values()}
        files = {key: path for key, path in files.items() if path.stem not in stems} | mine
    return dict(sorted(files.items()))


def networks_in(folder: Path) -> list[Path]:
    """The specs of networks in a folder and in its folders, or in its `specs/` if it has one."""
    inner = folder / "specs"
    files = yaml_files(inner if inner.is_dir() else folder, below=True)
    return [path for path in files if kind_of(path) not in NOT_NETWORKS]


def kind_of(path: Path) -> str:
    """`recipes`, `paper` and so on, by the folder; nothing for networks, which stand in any."""
    return next((part for part in path.parts[-2:-1] if part in NOT_NETWORKS), "")


def _by_stem(kind: str) -> dict[str, Path]:
    files = [path for folder in folders("specs")[::-1] for path in yaml_files(folder / kind)[::-1]]
    return {path.stem: path for path in files}
