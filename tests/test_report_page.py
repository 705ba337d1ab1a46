"""report.html as a browser shows it: Debian's Chromium, without a window."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import made_up_runs
from chromium import BROWSER, measured
from resnet_gen.experiments.definitions import experiment
from resnet_gen.report import making

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium to open pages with: apt-get install chromium"
)
WIDTHS = (360, 1_280)  # CSS pixels: a small telephone, a laptop


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Figure 6 of eleven networks, with seeds of some, and one that has not ended."""
    root = tmp_path_factory.mktemp("page")
    made_up_runs.figure6(root / "runs", 400, "short")
    made_up_runs.make(root / "runs/a-run-that-has-a-rather-long-name", "resnet32", 9, 800)
    made_up_runs.make(root / "runs/going", "resnet44", 1, 400, finished=False, manifest="short")
    making.make([root / "runs"], root / "out", experiment("figure6"))
    return (root / "out/report.html").read_text()


@pytest.fixture(scope="module")
def shown(page: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return measured(page, tmp_path_factory.mktemp("browser"), *WIDTHS)


def test_it_fits_and_is_whole(shown: list[dict[str, Any]]) -> None:
    for found, width in zip(shown, WIDTHS, strict=True):
        assert found["messages"] == []
        assert found["outside"] == [] and found["scroll_width"] <= width
        assert len(found["figures"]) == 5  # three panels of Figure 6, two of errors against depth
        for figure in found["figures"]:
            assert figure["width"] > 280 and figure["height"] > 150, figure
            assert figure["role"] == "img" and len(figure["text"]) > 80
            assert figure["labels"] > 10 and figure["cut"] == [], figure
        assert [bool(table["caption"]) for table in found["tables"]] == [True, True]
        assert all(table["heads"] and table["reachable"] for table in found["tables"])


def test_text_stands_out_in_the_light_and_in_the_dark(
    page: str, shown: list[dict[str, Any]], tmp_path: Path
) -> None:
    (dark,) = measured(page, tmp_path, 800, dark=True)
    assert luminance(shown[0]["background"]) > 0.9 and luminance(dark["background"]) < 0.02
    for found in (shown[0], dark):
        for ink in {found["ink"], *found["text"]}:
            assert contrast(ink, found["background"]) >= 7, (ink, found["background"])


def test_a_broken_page_would_be_noticed(page: str, tmp_path: Path) -> None:
    broken = page.replace("<h1>", '<h1 style="width:2000px">').replace(
        "</main>", "<script>1</script></main>"
    )
    broken = re.sub(r'role="img" aria-label="[^"]*"', "", broken)
    (found,) = measured(broken, tmp_path, 360)
    assert found["messages"] and found["scroll_width"] > 2_000 and "H1 " in found["outside"]
    assert {figure["text"] for figure in found["figures"]} == {None}


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2, of `rgb(1, 2, 3)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast by WCAG 2, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
