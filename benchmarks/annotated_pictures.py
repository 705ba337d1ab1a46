"""Real annotated pictures that packages ship, read by the generated code and by other readers.

    python benchmarks/annotated_pictures.py --work runs/annotated

Downloads labelme's source (pictures of PASCAL VOC, annotated in VOC's way and in COCO's) and
deepforest's wheel (aerial pictures of trees, in VOC's way, one of them in CSV too). Nothing of
theirs is kept in the repository. Every box is compared with what ElementTree, json or csv reads.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import timing
from PIL import Image

sys.path.insert(0, str(timing.ROOT))
from resnet_gen.generate.loading import load_folder

PACKAGES = ("labelme==5.8.1", "deepforest==2.1.0")
CODE = timing.ROOT / "generated/detection/faster_rcnn_resnet101"
Boxes = list[tuple[str, tuple[float, ...]]]  # class; left, top, right, bottom, in any order


def fetch(work: Path) -> None:
    """Both packages, unpacked below `work`."""
    packages = work / "packages"
    if not packages.is_dir():
        part = work / "packages.part"
        shutil.rmtree(part, ignore_errors=True)
        for package in PACKAGES:
            source = ["--no-binary", "labelme"] if package.startswith("labelme") else []
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *source]
            subprocess.run([*command, "--dest", str(part), package], check=True)
        for archive in part.iterdir():
            if archive.suffix == ".whl":
                zipfile.ZipFile(archive).extractall(part)  # noqa: S202  (zipfile keeps it there)
            else:
                with tarfile.open(archive) as file:
                    file.extractall(part, filter="data")
        part.replace(packages)


def voc_folder(work: Path) -> Path:
    """The pictures of labelme in VOC's folders, with lists of which is for what."""
    (given,) = work.glob("packages/labelme-*/examples/bbox_detection/data_dataset_voc")
    folder = work / "voc/VOC2012"
    for name in ("Annotations", "JPEGImages"):
        shutil.copytree(given / name, folder / name, dirs_exist_ok=True)
    names = sorted(path.stem for path in (folder / "Annotations").glob("*.xml"))
    lists = folder / "ImageSets/Main"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "train.txt").write_text("\n".join(names))
    (lists / "val.txt").write_text("\n".join(names))
    return work / "voc"


def coco_folder(work: Path) -> Path:
    """The same pictures with outlines, in COCO's file."""
    (given,) = work.glob("packages/labelme-*/examples/instance_segmentation/data_dataset_coco")
    for part in ("train", "val"):
        shutil.copytree(
            given / "JPEGImages", work / "coco" / part / "JPEGImages", dirs_exist_ok=True
        )
        shutil.copy(given / "annotations.json", work / "coco" / part)
    return work / "coco"


def trees_folder(work: Path) -> Path:
    """The pictures of deepforest that have an annotation of the same name."""
    given = work / "packages/deepforest/data"
    for part in ("train", "val"):
        folder = work / "trees" / part
        folder.mkdir(parents=True, exist_ok=True)
        for annotation in given.glob("*.xml"):
            if annotation.with_suffix(".png").is_file():
                shutil.copy(annotation, folder)
                shutil.copy(annotation.with_suffix(".png"), folder)
    return work / "trees"


def by_element_tree(path: Path, annotation: Path) -> Boxes:
    """The objects of VOC's file, in continuous pixels, cut off at the picture's border."""
    width, height = Image.open(path).size
    found = []
    root = ElementTree.parse(annotation).getroot()  # noqa: S314  (of the packages above)
    for each in root.iter("object"):
        corners = [
            float(each.findtext(f"bndbox/{tag}", "")) for tag in ("xmin", "ymin", "xmax", "ymax")
        ]
        left, top = max(corners[0] - 1, 0), max(corners[1] - 1, 0)
        box = (left, top, min(corners[2], width), min(corners[3], height))
        found.append((each.findtext("name", ""), box))
    return found


def by_json(annotations: Path, file_name: str) -> Boxes:
    """The objects of COCO's file."""
    document = json.loads(annotations.read_text())
    names = {each["id"]: each["name"] for each in document["categories"]}
    (image,) = [each for each in document["images"] if each["file_name"] == file_name]
    found = []
    for each in document["annotations"]:
        if each["image_id"] == image["id"]:
            x, y, width, height = each["bbox"]
            found.append((names[each["category_id"]], (x, y, x + width, y + height)))
    return found


def same(picture: Any, expected: Boxes) -> bool:
    """Whether a picture has exactly these objects."""
    read = sorted(
        (each.name, tuple(round(edge, 3) for edge in each.box)) for each in picture.objects
    )
    return read == sorted((name, tuple(round(edge, 3) for edge in box)) for name, box in expected)


def compare(name: str, data: Any, other: Callable[[Any], Boxes]) -> dict[str, object]:
    """A row: what was read, and whether another reader has the same."""
    pictures = data.train.pictures
    for picture in pictures:
        assert same(picture, other(picture)), picture.path
        assert picture.size == Image.open(picture.path).size, picture.path
    return {
        "pictures": name,
        "annotated as": data.train.kind,
        "read": len(pictures),
        "objects": sum(len(picture.objects) for picture in pictures),
        "classes": len(data.classes),
        "as another reader": "all",
    }


def main() -> None:
    """Reads and compares all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/annotated"))
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    fetch(work)
    code = load_folder(CODE)
    rows = []

    def voc(picture: Any) -> Boxes:
        path = Path(picture.path)
        return by_element_tree(path, path.parents[1] / f"Annotations/{path.stem}.xml")

    rows.append(compare("labelme's, of VOC 2011", code.annotations.load(voc_folder(work)), voc))

    def coco(picture: Any) -> Boxes:
        path = Path(picture.path)
        return by_json(path.parents[1] / "annotations.json", f"JPEGImages/{path.name}")

    rows.append(compare("the same, outlined", code.annotations.load(coco_folder(work)), coco))

    def trees(picture: Any) -> Boxes:
        return by_element_tree(Path(picture.path), Path(picture.path).with_suffix(".xml"))

    data = code.annotations.load(trees_folder(work))
    rows.append(compare("deepforest's", data, trees))
    (one,) = [each for each in data.train.pictures if Path(each.path).stem == "OSBS_029"]
    with (work / "packages/deepforest/data/OSBS_029.csv").open() as file:
        listed = [
            (r["label"], [float(r[k]) for k in ("xmin", "ymin", "xmax", "ymax")])
            for r in csv.DictReader(file)
        ]
    moved = [(name, (box[0] - 1, box[1] - 1, box[2], box[3])) for name, box in listed]
    assert len(one.objects) == len(moved) and same(
        one, [(n, tuple(max(e, 0) for e in b)) for n, b in moved]
    )
    timing.write("annotated_pictures", rows)


if __name__ == "__main__":
    main()
