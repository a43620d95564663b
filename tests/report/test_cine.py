"""The moving picture of a gated scan, and the page's script in a browser."""

import os
import shutil
import time

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from myoperf.report import write_html
from myoperf.report.canvas import Picture, Shape
from myoperf.report.cine import cine_drawing, crossings, gated_maximum
from myoperf.report.colours import palette
from support.report import make_report, make_result

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def bowl(radius, middle):
    """Points of half a sphere, closed at its tip, which lies towards -x."""
    turn, slope = np.meshgrid(np.radians(np.arange(0, 360, 5)), np.radians(np.arange(1, 91, 1)))
    across = radius * np.sin(slope)
    points = [-radius * np.cos(slope), across * np.cos(turn), across * np.sin(turn)]
    return np.stack(points, axis=-1) + middle


def test_a_surface_crosses_planes_in_circles_of_the_right_size_and_place():
    middle = np.array([4.0, -7.0, 11.0])
    axes = np.eye(3)
    (circle,) = crossings(bowl(30.0, middle), middle - (18.0, 0.0, 0.0), axes)
    assert np.hypot(*circle.T) == pytest.approx(np.full(len(circle), 24.0), abs=0.1), "a slice across, 18 of 30 away"
    (shifted,) = crossings(bowl(30.0, middle), np.array([middle[0] - 18.0, 0.0, 0.0]), axes)
    assert 0.5 * (shifted.min(axis=0) + shifted.max(axis=0)) == pytest.approx([11.0, -7.0], abs=0.1), "right, then down"
    lines = crossings(bowl(30.0, middle), middle, np.eye(3)[[2, 1, 0]], tip=True)
    along = np.concatenate(lines)
    assert along[:, 0].min() == pytest.approx(-30.0, abs=0.1), "a slice along the axis reaches the tip"


def test_every_gate_shows_its_own_slices_and_the_dot_on_the_curve_moves():
    result = make_result("stress", depth=0.0, state="stress", frames=4)
    cine = cine_drawing(result)
    assert len(cine.frames) == 4
    pictures = [next(mark for mark in frame.marks if isinstance(mark, Picture)) for frame in cine.frames]
    assert all(picture.scale == "stress" for picture in pictures)
    assert all((pictures[0].pixels != other.pixels).any() for other in pictures[1:])
    dots = [frame.marks[-1].lines[0].mean(axis=0) for frame in cine.frames]
    assert all(isinstance(frame.marks[-1], Shape) for frame in cine.frames)
    assert np.all(np.diff([x for x, _ in dots]) > 0)
    assert dots[0][1] < dots[2][1], "the volume falls, and up is less"


def test_the_colour_scale_ends_at_the_brightest_gate_of_the_wall():
    result = make_result("stress", depth=0.0, state="stress", frames=4)
    strip = next(mark for mark in cine_drawing(result).frames[2].marks if isinstance(mark, Picture)).pixels
    assert gated_maximum(result) > 0.8 * result.gated_volume.array.max() / 1.3
    assert strip.max() > 150, "the wall is bright in it"


def test_a_scan_without_gates_has_none(bare):
    assert cine_drawing(bare.results[0]) is None
    with pytest.raises(ValueError, match="has no gates"):
        gated_maximum(bare.results[0])


@pytest.fixture
def page(tmp_path):
    """Open the report of a gated study in a browser, from its file."""
    if not (BROWSER and DRIVER) and not os.environ.get("CI"):
        pytest.skip("needs Debian's chromium and chromium-driver")
    path = write_html(make_report(), tmp_path / "report.html")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or "chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER or "chromedriver"))
    driver.get(path.as_uri())
    yield driver
    errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    assert not errors


_PIXEL = """
const canvas = document.querySelector(".slices canvas");
const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
const sum = (i) => data[i] + data[i + 1] + data[i + 2];
let most = 0;
for (let i = 0; i < data.length; i += 4) if (sum(i) > sum(most)) most = i;
return [...data.slice(most, most + 3), data.filter((v, i) => i % 4 === 0 && v > 250).length];
"""
_SHOWN = "return [...document.querySelectorAll('svg.cine .frame')].findIndex((f) => !f.hasAttribute('hidden'))"
_SET = """
const control = document.querySelector(arguments[0]);
control.value = arguments[1];
control.dispatchEvent(new Event(arguments[2]));
"""
_FETCHED = "return performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('data:'))"


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_palette_and_window_change_while_the_cine_plays_from_a_file_without_network(page):
    until(lambda: page.find_elements(By.CSS_SELECTOR, ".slices canvas"))
    shown = set()
    until(lambda: shown.add(page.execute_script(_SHOWN)) or len(shown) > 3)
    *_, bright = page.execute_script(_PIXEL)
    page.execute_script(_SET, "#stress-upper", "50", "input")
    *brightest, count = page.execute_script(_PIXEL)
    assert brightest == palette("warm-metal").colours[254, :3].tolist()
    assert count > 1.5 * bright, "half of the maximum is the brightest colour now"
    page.execute_script(_SET, "#palette", "cool", "change")
    assert page.execute_script(_PIXEL)[:3] == palette("cool").colours[254, :3].tolist()
    assert page.execute_script(_FETCHED) == []
    page.find_element(By.ID, "play").click()
    gate = page.execute_script(_SHOWN)
    time.sleep(0.5)
    assert page.execute_script(_SHOWN) == gate, "it stands"
    page.execute_script("document.activeElement.blur()")
    page.find_element(By.TAG_NAME, "body").send_keys(".")
    until(lambda: page.execute_script(_SHOWN) == (gate + 1) % 8)
