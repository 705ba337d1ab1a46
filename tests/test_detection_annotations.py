"""What detectors read: VOC's folders, COCO's, one's own; and every mistake in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

import cards
from conftest import ROOT
from resnet_gen.generate.loading import load_folder

CODE = ROOT / "generated/detection/faster_rcnn_resnet101"
WIDTH, HEIGHT = 60, 40


@pytest.fixture(scope="module")
def code() -> Any:
    return load_folder(CODE)


def picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def voc_object(name: str, corners: Sequence[object], more: str = "") -> str:
    tags = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, corners, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def voc_file(*objects: str, size: tuple[int, int] | None = (WIDTH, HEIGHT)) -> str:
    lines = ["<annotation>"]
    if size:
        lines.append(f"<size><width>{size[0]}</width><height>{size[1]}</height></size>")
    return "\n".join([*lines, *objects, "</annotation>\n"])


def devkit(root: Path, year: str, parts: dict[str, dict[str, str]]) -> None:
    """VOCdevkit/VOCyear: for each part the annotations of its pictures by their names."""
    lists = root / f"VOC{year}/ImageSets/Main"
    lists.mkdir(parents=True, exist_ok=True)
    for part, pictures in parts.items():
        (lists / f"{part}.txt").write_text("".join(f"{name}\n" for name in pictures))
        for name, annotation in pictures.items():
            picture(root / f"VOC{year}/JPEGImages/{name}.jpg")
            if annotation:
                file = root / f"VOC{year}/Annotations/{name}.xml"
                file.parent.mkdir(exist_ok=True)
                file.write_text(annotation)


CAT = voc_file(voc_object("cat", (1, 1, 60, 40)))
DOG = voc_file(voc_object("dog", (11, 6, 20, 10)), voc_object("cat", (3, 4, 5, 6)))


def test_voc_counts_pixels_from_1_and_includes_the_last(code: Any, tmp_path: Path) -> None:
    person = voc_object("dog", (11, 6, 20, 10), "<part><bndbox><xmin>1</xmin></bndbox></part>")
    difficult = voc_object("cat", (2, 3, 4, 5), "<difficult>1</difficult>")
    devkit(
        tmp_path,
        "2007",
        {"trainval": {"a": CAT, "b": DOG}, "test": {"c": voc_file(person, difficult)}},
    )
    data = code.annotations.load(tmp_path)
    assert data.classes == ["cat", "dog"] and data.test.kind == "voc2007"
    first, second = data.train.pictures
    (whole,) = first.objects
    assert whole.box == (0, 0, 60, 40) and whole.area == 2400 and not whole.ignored
    assert [each.box for each in second.objects] == [(10, 5, 20, 10), (2, 3, 5, 6)]
    dog, cat = data.test.pictures[0].objects
    assert (dog.name, dog.box, cat.ignored) == ("dog", (10, 5, 20, 10), True)
    assert data.validation is data.test


def test_voc_trains_on_trainval_of_all_years_and_tests_where_the_test_is_known(
    code: Any, tmp_path: Path
) -> None:
    """07+12, of which the test set of 2012 is not published (appendix A)."""
    devkit(
        tmp_path,
        "2007",
        {"train": {"a": CAT}, "trainval": {"a": CAT, "b": DOG}, "test": {"c": CAT}},
    )
    parts = {
        "train": {"d": DOG},
        "val": {"e": CAT},
        "trainval": {"d": DOG, "e": CAT},
        "test": {"f": ""},
    }
    devkit(tmp_path, "2012", parts)
    data = code.annotations.load(tmp_path)
    assert [Path(each.path).stem for each in data.train.pictures] == ["a", "b", "d", "e"]
    assert [Path(each.path).stem for each in data.test.pictures] == ["c"]
    assert data.test.kind == "voc2007"
    alone = code.annotations.load(tmp_path / "VOC2012")
    assert [Path(each.path).stem for each in alone.train.pictures] == ["d"]
    assert [Path(each.path).stem for each in alone.test.pictures] == ["e"]
    assert alone.test.kind == "voc"


def coco_file(
    images: list[dict], annotations: list[dict], names: Sequence[str] = ("dog", "cat")
) -> str:
    categories = [{"id": 10 + k, "name": name} for k, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


IMAGE = {"id": 7, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}


def annotated(box: Sequence[float], category: int = 10, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 7, "category_id": category, "bbox": list(box), **more}


def coco(root: Path, annotations: list[dict]) -> None:
    for part in ("train2017", "val2017"):
        picture(root / part / "a.jpg")
        (root / "annotations").mkdir(exist_ok=True)
        file = root / f"annotations/instances_{part}.json"
        file.write_text(coco_file([IMAGE], annotations))


def test_coco_has_corners_and_sizes_crowds_and_outlines(code: Any, tmp_path: Path) -> None:
    crowd = annotated((0, 0, 60, 40), 11, iscrowd=1)
    coco(tmp_path, [annotated((10, 5, 10.5, 5), area=30.5), crowd])
    data = code.annotations.load(tmp_path)
    assert data.classes == ["dog", "cat"] and data.test.kind == "coco"  # by their numbers
    dog, cat = data.train.pictures[0].objects
    assert (dog.box, dog.area, dog.ignored) == ((10, 5, 20.5, 10), 30.5, False)
    assert (cat.name, cat.ignored) == ("cat", True)
    example = code.data.example(data.train.pictures[0], {"dog": 1, "cat": 2}, False)
    assert example.labels.tolist() == [1] and example.pixels.shape == (3, HEIGHT, WIDTH)


def own(root: Path, annotation: str, name: str = "a.jpg") -> Path:
    for part in ("train", "val"):
        picture(root / part / name)
        (root / part / Path(name).with_suffix(".xml")).write_text(annotation)
    return root


def test_a_folder_of_ones_own(code: Any, tmp_path: Path) -> None:
    made = cards.make(tmp_path, train=30, val=2, crops=5)
    data = code.annotations.load(made / "cards")
    assert (len(data.train.pictures), len(data.test.pictures)) == (30, 2)
    numbers = cards.Cards("train")
    for each in sorted(data.train.pictures, key=lambda each: int(Path(each.path).stem)):
        drawn = numbers.picture()[1]
        assert [(int(o.name), o.box) for o in each.objects] == [(c.digit, c.box) for c in drawn]
    (tmp_path / "own").mkdir()
    picture(tmp_path / "own/train/a.jpg")
    picture(tmp_path / "own/test/a.jpg")
    for part in ("train", "test"):
        (tmp_path / f"own/{part}/all.json").write_text(
            coco_file([IMAGE], [annotated((1, 1, 5, 5))])
        )
    assert code.annotations.load(tmp_path / "own").test.kind == "coco"


def test_a_picture_without_objects_is_background(code: Any, tmp_path: Path) -> None:
    root = own(tmp_path, CAT)
    picture(root / "train/empty.png")
    (root / "train/empty.xml").write_text(voc_file(size=None))
    data = code.annotations.load(root)
    empty = next(each for each in data.train.pictures if "empty" in each.path)
    assert empty.objects == [] and empty.size == (WIDTH, HEIGHT)  # of the picture itself
    example = code.data.example(empty, {"cat": 1}, True)
    assert example.boxes.shape == (0, 4) and len(example.labels) == 0 and not example.complaint


def test_a_mirrored_picture_has_mirrored_boxes(code: Any, tmp_path: Path) -> None:
    picture_of = code.annotations.load(own(tmp_path, DOG)).train.pictures[0]
    straight = code.data.example(picture_of, {"cat": 1, "dog": 2}, False)
    mirrored = code.data.example(picture_of, {"cat": 1, "dog": 2}, True)
    for one, other in zip(
        straight.boxes.int().tolist(), mirrored.boxes.int().tolist(), strict=True
    ):
        left, top, right, bottom = one
        seen = straight.pixels[:, top:bottom, left:right].flip(2)
        left, top, right, bottom = other
        assert (mirrored.pixels[:, top:bottom, left:right] == seen).all()


def test_a_picture_that_is_turned_by_its_tag(code: Any, tmp_path: Path) -> None:
    """Boxes are those of the upright picture, whose size the annotation has."""
    root = own(tmp_path, CAT)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(root / "train/a.jpg").transpose(Image.Transpose.ROTATE_90).save(
        root / "train/a.jpg", exif=exif
    )
    (turned,) = code.annotations.load(root).train.pictures
    assert not code.data.example(turned, {"cat": 1}, False).complaint
    picture(root / "train/a.jpg", (HEIGHT, WIDTH))
    complaint = code.data.example(turned, {"cat": 1}, False).complaint
    assert "a.xml:1" in complaint and "it is 40×60, and annotated as 60×40" in complaint


def told(code: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, bool]:
    """What loading a folder says, and whether it ended with it."""
    try:
        code.annotations.load(folder)
    except SystemExit as stop:
        assert stop.code == 2
        return capsys.readouterr().err, True
    return capsys.readouterr().err, False


@pytest.mark.parametrize(
    ("annotation", "line", "words"),
    [
        (voc_file(voc_object("cat", (5, 5, 4, 9))), 3, "1 boxes have no width or height"),
        (voc_file(voc_object("cat", (70, 5, 80, 9))), 3, "1 boxes have no width or height"),
        (voc_file(voc_object("cat", (50, 5, 63, 9))), 3, "1 boxes reach out of their pictures"),
    ],
)
def test_boxes_that_cannot_be_are_left_out_and_told(
    code: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    annotation: str,
    line: int,
    words: str,
) -> None:
    root = own(
        tmp_path,
        annotation.replace("</annotation>", voc_object("cat", (1, 1, 9, 9)) + "\n</annotation>"),
    )
    said, ended = told(code, root, capsys)
    assert not ended and words in said and f"train/a.xml:{line}" in said
    boxes = [each.box for each in code.annotations.load(root).train.pictures[0].objects]
    assert boxes[-1] == (0, 0, 9, 9) and all(0 <= b[0] < b[2] <= WIDTH for b in boxes)
    assert len(boxes) == (2 if "reach" in words else 1)


def test_a_pixel_too_far_is_how_tools_round(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, _ = told(code, own(tmp_path, voc_file(voc_object("cat", (0, 0, 61, 41)))), capsys)
    assert "reach out" not in said


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("<annotation>\n<object>\n</annotation>", "a.xml:3: this is no XML: mismatched tag"),
        (voc_file("<object><name>cat</name></object>"), "a.xml:3: <object> has no <bndbox>"),
        (voc_file(voc_object("cat", (1, "x", 5, 5))), "a.xml:3: <ymin> is no number: 'x'"),
        (voc_file(voc_object("cat", (1, "nan", 5, 5))), "a.xml:3: <ymin> is no number: 'nan'"),
        (voc_file("<object><bndbox/></object>"), "a.xml:3: <bndbox> has no <xmin>"),
        (voc_file(), "no object is annotated in train: it has 1 pictures"),
    ],
)
def test_mistakes_in_an_annotation(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], annotation: str, words: str
) -> None:
    said, ended = told(code, own(tmp_path, annotation), capsys)
    assert ended and words in said and "Traceback" not in said


def test_mistakes_in_a_folder(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, ended = told(code, tmp_path, capsys)
    assert ended and "holds no annotated pictures" in said
    root = own(tmp_path / "own", CAT)
    (root / "val/a.xml").write_text(DOG)
    said, ended = told(code, root, capsys)
    assert ended and "val/a.xml:3: 'dog' is no class to train on: train has cat" in said
    (root / "train/a.xml").unlink()
    said, ended = told(code, root, capsys)
    assert ended and "train/a.jpg has no a.xml beside it" in said
    devkit(tmp_path / "devkit", "2012", {"train": {"a": ""}, "val": {"b": CAT}})
    said, ended = told(code, tmp_path / "devkit", capsys)
    assert ended and "Annotations/a.xml cannot be read: No such file" in said


@pytest.mark.parametrize(
    ("box", "more", "words"),
    [
        ((1, 2, 3), {}, "annotation 1 (id 1): not enough values to unpack"),
        ((1, 2, 3, "x"), {}, "annotation 1 (id 1): could not convert string to float: 'x'"),
        ((1, 2, 3, float("nan")), {}, "annotation 1 (id 1): its bbox is"),
        ((1, 2, 3, 4), {"category_id": 3}, "annotation 1 (id 1): there is no 3"),
        ((1, 2, 3, 4), {"image_id": 3}, "annotation 1 (id 1): there is no 3"),
    ],
)
def test_mistakes_in_cocos_annotations(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], box: Any, more: dict, words: str
) -> None:
    coco(tmp_path, [{**annotated(box), **more}])
    said, ended = told(code, tmp_path, capsys)
    assert ended and "instances_train2017.json: " in said and words in said


def test_files_that_are_no_annotations(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco(tmp_path, [annotated((1, 2, 3, 4))])
    for content, words in (
        ("{", "is no annotation file of COCO's kind"),
        ("[]", "is no annotation file of COCO's kind"),
        ('{"images": []}', "it has no 'categories'"),
    ):
        (tmp_path / "annotations/instances_train2017.json").write_text(content)
        said, ended = told(code, tmp_path, capsys)
        assert ended and words in said
