"""Annotated pictures: PASCAL VOC's folders, COCO's, or a folder of one's own.

    VOCdevkit/VOC2007/, VOCdevkit/VOC2012/     trained on trainval, tested on the test set of 2007;
                                               without one, on train and val
    coco/annotations/instances_train2017.json  with coco/train2017/, and the same of val2017
    photos/train/1.jpg, photos/train/1.xml     with VOC's annotation beside each picture, or one of
    photos/val/...                             COCO's kind, such as all.json, in each folder

Boxes are in continuous pixels: left, top, right, bottom, of 0 to width and height.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

from distributed import fail, note
from folder import SUFFIXES, UnreadableImage, read_image

Box = tuple[float, float, float, float]


class Object(NamedTuple):
    """An object of a picture, and where that is written."""

    name: str  # of its class
    box: Box
    ignored: bool  # VOC's difficult, COCO's crowds: not trained on, in tests not counted
    area: float  # COCO's is of the object's outline, which is less than its box
    place: str  # file and line


class Picture(NamedTuple):
    """A picture with its objects."""

    path: str
    size: tuple[int, int]  # width and height, upright, as annotated or else as the file has them
    objects: list[Object]
    place: str  # of its annotation


class Part(NamedTuple):
    """What is trained on, or tested on."""

    name: str
    pictures: list[Picture]
    classes: list[str]
    kind: str  # of its annotations: "voc2007", "voc" or "coco"


class Data(NamedTuple):
    """The pictures that --data selects, and the classes of objects, whose labels begin at 1."""

    train: Part
    validation: Part
    test: Part  # the pictures to validate on again, where there are no others
    classes: list[str]


# ---- What there is -------------------------------------------------------------------------------


def load(folder: Path) -> Data:
    """The pictures of a folder of one of the kinds above."""
    folders = (folder, *sorted(folder.glob("*")))
    years = [each for each in folders if (each / "ImageSets/Main").is_dir()]
    annotations = sorted((folder / "annotations").glob("instances_*.json"))
    if years:
        parts = of_voc(years)
    elif annotations:
        parts = of_coco(folder, annotations)
    elif (folder / "train").is_dir():
        names = [name for name in ("train", "val", "test") if (folder / name).is_dir()]
        parts = [of_ones_own(folder / name) for name in names]
    else:
        kinds = "VOC's ImageSets/Main/, COCO's annotations/instances_*.json, and train/"
        fail(f"{folder} holds no annotated pictures: it has none of {kinds}")
    if len(parts) < 2:
        fail(f"{folder} needs val/ or test/ beside train/")
    return checked(parts)


def checked(parts: list[Part]) -> Data:
    """The data, once all objects are of known classes and inside of their pictures."""
    classes = parts[0].classes
    for part in parts:
        if not any(picture.objects for picture in part.pictures):
            fail(f"no object is annotated in {part.name}: it has {len(part.pictures):,} pictures")
        for each in (each for picture in part.pictures for each in picture.objects):
            if each.name not in classes:
                has = f"{parts[0].name} has {some(classes)}"
                fail(f"{each.place}: {each.name!r} is no class to train on: {has}")
    train, *others = [part._replace(pictures=fit(part.pictures)) for part in parts]
    counts = ", ".join(f"{len(part.pictures):,} in {part.name}" for part in (train, *others))
    objects = sum(len(picture.objects) for picture in train.pictures)
    note(f"pictures: {counts}; {objects:,} objects of {len(classes)} classes to train on")
    return Data(train, others[0], others[-1], classes)


def fit(pictures: list[Picture]) -> list[Picture]:
    """The pictures with boxes that end at their borders and have a width and a height.

    Says how many did not; a pixel too far is how some tools round.
    """
    cut, empty, fitted = list[str](), list[str](), list[Picture]()
    for picture in pictures:
        objects = []
        for each in picture.objects:
            inside = [min(max(v, 0.0), float(picture.size[k % 2])) for k, v in enumerate(each.box)]
            if inside[2] <= inside[0] or inside[3] <= inside[1]:
                empty.append(each.place)
                continue
            if any(abs(v - w) > 1 for v, w in zip(inside, each.box, strict=True)):
                cut.append(each.place)
            objects.append(each._replace(box=(inside[0], inside[1], inside[2], inside[3])))
        fitted.append(picture._replace(objects=objects))
    for places, what in (
        (cut, "boxes reach out of their pictures and are cut off at the border"),
        (empty, "boxes have no width or height within their pictures and are left out"),
    ):
        if places:
            note(f"{len(places):,} {what}, the first at {places[0]}")
    return fitted


def of_voc(years: list[Path]) -> list[Part]:
    """The devkit's folders: trainval and test where a test set is annotated, or train and val."""
    tested = [year for year in years if has_annotated_test(year)]
    kind = "voc2007" if [year.name for year in tested or years] == ["VOC2007"] else "voc"
    names = ("trainval", "test") if tested else ("train", "val")
    parts = []
    for name, of in zip(names, (years, tested or years), strict=True):
        pictures = [voc_picture(year, each) for year in of for each in listed(year, name)]
        title = " and ".join(f"{year.name} {name}" for year in of)
        parts.append(Part(title, pictures, classes_of(pictures), kind))
    return parts


def has_annotated_test(year: Path) -> bool:
    """Whether the objects of its test set are known: those from 2008 on are not published."""
    names = listed(year, "test")[:1]
    return any((year / f"Annotations/{name}.xml").is_file() for name in names)


def listed(year: Path, part: str) -> list[str]:
    """The names of the pictures of a part, or none where there is no such list."""
    file = year / f"ImageSets/Main/{part}.txt"
    words = [line.split() for line in lines_of(file)] if file.is_file() else []
    return [each[0] for each in words if each]


def of_coco(folder: Path, annotations: list[Path]) -> list[Part]:
    """COCO's train and val, of the latest year."""
    named = {path.stem.removeprefix("instances_"): path for path in annotations}
    parts = []
    for name in ("train", "val"):
        years = sorted(each for each in named if each.startswith(name))
        if not years:
            fail(f"{folder}/annotations has no instances_{name}*.json")
        parts.append(coco_part(named[years[-1]], folder / years[-1]))
    return parts


def of_ones_own(folder: Path) -> Part:
    """Pictures of one folder: with an .xml beside each, or a .json for all."""
    documents = sorted(folder.glob("*.json"))
    if len(documents) > 1:
        fail(f"{folder} has {len(documents)} files .json: one describes all pictures")
    if documents:
        return coco_part(documents[0], folder)
    files = (path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES)
    pictures = []
    for path in files:
        beside = path.with_suffix(".xml")
        if not beside.is_file():
            fail(f"{path} has no {beside.name} beside it: one without <object> says it is empty")
        pictures.append(picture_of(path, read_xml(beside)))
    return Part(folder.name, pictures, classes_of(pictures), "voc")


def classes_of(pictures: list[Picture]) -> list[str]:
    """The classes of all objects, in alphabetical order, which is VOC's."""
    return sorted({each.name for picture in pictures for each in picture.objects})


# ---- VOC's annotations ---------------------------------------------------------------------------


class Node(NamedTuple):
    """An element of an XML file."""

    tag: str
    place: str  # file and line
    children: list["Node"]
    words: list[str]  # its text, in pieces

    @property
    def text(self) -> str:
        """Its text, without white space at the ends."""
        return "".join(self.words).strip()

    def child(self, tag: str) -> "Node":
        """The element of this tag within it."""
        for each in self.children:
            if each.tag == tag:
                return each
        fail(f"{self.place}: <{self.tag}> has no <{tag}>")

    def number(self, tag: str) -> float:
        """The number in the element of this tag."""
        inner = self.child(tag)
        try:
            value = float(inner.text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            fail(f"{inner.place}: <{tag}> is no number: {inner.text!r}")
        return value


def read_xml(path: Path) -> Node:
    """The file's outermost element."""
    root = Node("file", str(path), [], [])
    within, parser = [root], expat.ParserCreate()

    def begin(tag: str, _: object) -> None:
        node = Node(tag, f"{path}:{parser.CurrentLineNumber}", [], [])
        within[-1].children.append(node)
        within.append(node)

    def text(words: str) -> None:
        within[-1].words.append(words)

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: within.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        fail(f"{path}:{error.lineno}: this is no XML: {expat.ErrorString(error.code)}")
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    return root.children[0]


def voc_picture(year: Path, name: str) -> Picture:
    """A picture of a devkit's folder by its name."""
    return picture_of(year / f"JPEGImages/{name}.jpg", read_xml(year / f"Annotations/{name}.xml"))


def picture_of(path: Path, annotation: Node) -> Picture:
    """A picture as VOC annotates it: pixels are counted from 1, and the last one is inside."""
    objects = []
    for node in annotation.children:
        if node.tag == "object":
            box, corners = node.child("bndbox"), ("xmin", "ymin", "xmax", "ymax")
            left, top, right, bottom = (box.number(corner) for corner in corners)
            difficult = any(each.tag == "difficult" and each.text == "1" for each in node.children)
            edges = (left - 1, top - 1, right, bottom)
            area = (edges[2] - edges[0]) * (edges[3] - edges[1])
            objects.append(Object(node.child("name").text, edges, difficult, area, box.place))
    sizes = [each for each in annotation.children if each.tag == "size"]
    size = (sizes[0].number("width"), sizes[0].number("height")) if sizes else (0, 0)
    width, height = map(int, size) if min(size) > 0 else size_of(path, annotation.place)
    return Picture(str(path), (width, height), objects, annotation.place)


# ---- COCO's annotations --------------------------------------------------------------------------


def coco_part(path: Path, folder: Path) -> Part:
    """The pictures of an annotation file, which lie in the folder."""
    try:
        document = json.loads(path.read_bytes())
        categories = {each["id"]: each["name"] for each in document["categories"]}
        files = {each["id"]: each["file_name"] for each in document["images"]}
        sizes = {each["id"]: (each["width"], each["height"]) for each in document["images"]}
        annotations = document["annotations"]
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, LookupError) else error
        fail(f"{path} is no annotation file of COCO's kind: {reason}")
    objects: dict[Any, list[Object]] = {key: [] for key in files}
    for number, each in enumerate(annotations, start=1):
        place = f"{path}: annotation {number}"
        try:
            place += f" (id {each.get('id', 'none')})"
            left, top, width, height = map(float, each["bbox"])
            if not all(map(math.isfinite, (left, top, width, height))):
                raise ValueError(f"its bbox is {each['bbox']}")
            box, crowd = (left, top, left + width, top + height), bool(each.get("iscrowd", 0))
            area = float(each.get("area", width * height))
            name = categories[each["category_id"]]
            objects[each["image_id"]].append(Object(name, box, crowd, area, place))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"there is no {error}" if isinstance(error, LookupError) else error
            fail(f"{place}: {reason}")
    pictures = [
        Picture(str(folder / files[key]), sizes[key], objects[key], f"{path}: image {key}")
        for key in files
    ]
    classes = [categories[key] for key in sorted(categories)]
    return Part(folder.name, pictures, classes, "coco")


def size_of(path: Path, place: str) -> tuple[int, int]:
    """Width and height of a picture, upright; ends the run where it cannot be read."""
    try:
        return read_image(str(path)).size
    except (UnreadableImage, OSError) as error:
        fail(f"{place}: {path} cannot be read: {error}")


def lines_of(file: Path) -> list[str]:
    """The lines of a text file."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
