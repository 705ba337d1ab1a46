"""The SVGs of `resnet-gen draw` as Chromium shows them, and those in docs/pictures."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from conftest import ROOT
from resnet_gen.draw.layout import PAGE, text_width

PICTURES = sorted((ROOT / "docs/pictures").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDE = """\
name: a_network_whose_name_is_as_long_as_a_name_may_be_of_64_letters_m
design: cifar
depth: 20
shortcut: C
width: 4096
image_size: 8
"""
DRAWINGS = (  # beside docs/pictures
    "resnet50_v1_5 resnet34_c resnet20",
    "resnet50_b plain20 --no-fold",
    "wide.yaml resnet1202 resnet18_b",
    "resnet34_c resnet20 resnet50_v1_5 wide.yaml --block",
)
# Of each picture: its frame, and the place, words and colours of boxes and texts.
MEASURE = """
const place = e => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
const of = (svg, what) => [...svg.querySelectorAll(what)].map(e => (
  {place: place(e), words: e.textContent, fill: getComputedStyle(e).fill}));
const found = [...document.querySelectorAll("svg")].map(svg => ({
  frame: [0, 0, svg.viewBox.baseVal.width, svg.viewBox.baseVal.height],
  size: [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height],
  paper: of(svg, ".paper")[0].fill, boxes: of(svg, ".box"), texts: of(svg, "text")}));
document.body.innerHTML = "<pre></pre>";
document.querySelector("pre").textContent = JSON.stringify(found);
"""


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """docs/pictures, and harder ones."""
    folder = tmp_path_factory.mktemp("drawings")
    (folder / "wide.yaml").write_text(WIDE)
    for index, arguments in enumerate(DRAWINGS):
        command = [
            sys.executable,
            "-m",
            "resnet_gen",
            "draw",
            *arguments.split(),
            "-o",
            f"{index}.svg",
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return [*PICTURES, *sorted(folder.glob("*.svg"))]


@pytest.fixture(scope="module", params=["light", "dark"])
def shown(
    request: pytest.FixtureRequest, drawings: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What Chromium makes of all drawings, in one page."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to look at pictures with: apt-get install chromium")
    folder = tmp_path_factory.mktemp(request.param)
    page = folder / "page.html"
    pictures = "".join(path.read_text() for path in drawings)
    page.write_text(f"<!doctype html><body>{pictures}<script>{MEASURE}</script></body>")
    scheme = f"--blink-settings=preferredColorScheme={int(request.param == 'light')}"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    done = subprocess.run(
        [CHROMIUM, *flags, scheme, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    (measured,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, re.S)
    names = [path.name for path in drawings]
    return dict(zip(names, json.loads(html.unescape(measured)), strict=True))


def inside(inner: list[float], outer: list[float], room: float) -> bool:
    """Whether there is this much room on the left and right, and some above and below."""
    left, top, right, bottom = outer
    across = left + room <= inner[0] and inner[2] <= right - room
    return across and top <= inner[1] and inner[3] <= bottom


def overlap(one: list[float], other: list[float]) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > 0.5 and down > 3  # a line's height has room for letters that it lacks


def test_texts_stand_in_their_boxes_and_apart(shown: dict[str, dict[str, Any]]) -> None:
    for name, picture in shown.items():
        texts = picture["texts"]
        for text in texts:
            assert inside(text["place"], picture["frame"], 4), (name, text["words"])
        for one, other in combinations(texts, 2):
            assert not overlap(one["place"], other["place"]), (name, one["words"], other["words"])
        for one, other in combinations(picture["boxes"], 2):
            assert not overlap(one["place"], other["place"]), name
        for box in picture["boxes"]:
            assert inside(box["place"], picture["frame"], 4), name
            (words,) = (text for text in texts if overlap(text["place"], box["place"]))
            assert inside(words["place"], box["place"], 3), (name, words["words"])


def test_texts_can_be_read(shown: dict[str, dict[str, Any]]) -> None:
    """WCAG's contrast of 4.5, on boxes and beside them, in light and in dark."""
    for name, picture in shown.items():
        for text in picture["texts"]:
            on = [box for box in picture["boxes"] if overlap(text["place"], box["place"])]
            ground = on[0]["fill"] if on else picture["paper"]
            assert contrast(text["fill"], ground) >= 4.5, (name, text, ground)


def test_light_and_dark(shown: dict[str, dict[str, Any]], request: pytest.FixtureRequest) -> None:
    papers = {brightness(picture["paper"]) > 0.5 for picture in shown.values()}
    assert papers == {request.node.callspec.params["shown"] == "light"}


def test_pictures_are_shown_at_their_size(shown: dict[str, dict[str, Any]]) -> None:
    for picture in shown.values():
        assert picture["size"] == picture["frame"][2:]
    for path in PICTURES:  # as wide as a README shows, so that letters keep their size
        assert shown[path.name]["frame"][2] <= 830 and shown[path.name]["frame"][3] <= PAGE + 100


def brightness(colour: str) -> float:
    """WCAG's relative luminance of rgb(r, g, b)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


def texts_of(path: Path) -> Iterator[tuple[str, str]]:
    for text in ElementTree.parse(path).iter(f"{SVG}text"):
        yield text.get("class", ""), "".join(text.itertext())


def test_widths_are_enough_for_a_wide_font(drawings: list[Path]) -> None:
    """DejaVu Sans, which Linux shows where it has no Helvetica, is wider than the others."""
    fonts = Path(matplotlib.get_data_path(), "fonts/ttf")
    for path in drawings:
        for look, words in texts_of(path):
            bold = "name" in look or "bold" in look
            file = fonts / f"DejaVuSans{'-Bold' * bold}.ttf"
            width = ImageFont.truetype(str(file), 100).getlength(words) / 100
            assert width <= text_width(words, 1, bold=bold) + 0.3 * bold, (path.name, words)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_current(path: Path, cli: Callable) -> None:
    """Each says by which command it was made."""
    by = ElementTree.parse(path).findtext(f"{SVG}metadata") or ""
    assert by.startswith("resnet-gen draw ")
    assert cli(*by.split()[1:], "--format", "svg").out == path.read_text()


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_have_words_for_those_who_do_not_see_them(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    title, description = root.findtext(f"{SVG}title") or "", root.findtext(f"{SVG}desc") or ""
    assert root.get("role") == "img" and root.get("aria-label") == title
    by = root.findtext(f"{SVG}metadata") or ""
    names = [word for word in by.split()[2:] if not word.startswith("-")]
    assert all(name in title and f"{name}, " in description for name in names)
    assert not [element for element in root.iter() if element.get("id")]  # two may share a page
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", path.read_text())  # nothing is fetched
