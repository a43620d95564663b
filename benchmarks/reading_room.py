"""Measure the reading room in a browser, on a simulated patient, and take the pictures of its page.

    python benchmarks/reading_room.py [--study FOLDER]        (5 minutes; needs Debian's chromium and chromium-driver)
    python benchmarks/reading_room.py --pictures              the pictures alone; the table stays as it is

Runs ``myoperf serve``, uploads the patient (by default one that it simulates), waits for the analysis. Then: from the
click on the worklist to the first picture, pictures of the cine a second, from the button to the numbers of a corrected
pose, the TPD of that pose by ``analyze``, a page of a worklist of 10,000, and the memory of the processes. Writes
docs/results/reading_room.csv and docs/images/room-*.png.
"""

import argparse
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait
from sqlalchemy import insert

from myoperf import Options, analyze, load_models, read_studies
from myoperf.types import LVFrame
from myoperf.web.database import studies, uploads, writing
from myoperf.web.room import open_room
from myoperf.web.worklist import Page, worklist

ROOT = Path(__file__).parents[1]
RESULT, IMAGES = ROOT / "docs" / "results" / "reading_room.csv", ROOT / "docs" / "images"
ROUNDS = 5
_OPEN = """
const done = arguments[arguments.length - 1], start = performance.now();
location.hash = "#/study/1";
(function look() {
  const tile = document.querySelector("canvas.tile");
  const data = tile?.getContext("2d").getImageData(0, 0, tile.width, tile.height).data;
  const shown = data?.some((v, i) => i % 4 < 3 && v);
  shown ? done(performance.now() - start) : requestAnimationFrame(look);
})();
"""
_STUDY = "fetch('/api/studies/1').then((answer) => answer.json()).then(arguments[0])"
_SET = "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """Run ``myoperf serve`` and yield its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "myoperf", "serve", "--data", str(folder), "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                time.sleep(0.25)
        yield address, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@contextmanager
def browser() -> Iterator[WebDriver]:
    """Yield a browser with a page of 1366 x 768."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_window_size(1366, 768 + 768 - driver.execute_script("return innerHeight"))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def find(driver: WebDriver, selector: str, seconds: float = 600.0) -> object:
    """Return the first element once it is there."""
    return WebDriverWait(driver, seconds, 0.05).until(lambda d: d.find_elements(By.CSS_SELECTOR, selector))[0]


def upload(driver: WebDriver, address: str, files: list[Path]) -> float:
    """Upload files and return the seconds until their study is analysed."""
    driver.get(address)
    find(driver, "#reader").send_keys("Dr Ada")
    find(driver, "#enter").click()
    start = time.perf_counter()
    find(driver, "#files").send_keys("\n".join(map(str, files)))
    find(driver, 'tr[data-study="1"][data-status="ready"]')
    return time.perf_counter() - start


def first_picture_ms(driver: WebDriver, address: str) -> float:
    """Return the median time from the click on the worklist to the first picture."""
    times = []
    for _ in range(ROUNDS):
        driver.get(f"{address}/#/")
        driver.refresh()
        find(driver, "tr[data-study]")
        times.append(float(driver.execute_async_script(_OPEN)))
    return median(times)


def cine_per_second(driver: WebDriver) -> tuple[float, float]:
    """Return how often a second all pictures of the cine are drawn when 30 are wanted, and the ms that this takes.

    The first falls when other work keeps the machine busy, the second (a median) hardly does.
    """
    find(driver, "#part-cine").click()
    find(driver, "[data-cine]")
    driver.execute_script(_SET, "#rate", "30")
    shown, taken = [], []
    for _ in range(ROUNDS):
        time.sleep(2.0)
        told = driver.execute_script("return {...document.querySelector('output[data-shown]').dataset}")
        shown.append(float(told["shown"]))
        taken.append(float(told["drawMs"]))
    return median(shown), median(taken)


def correction_s(driver: WebDriver, server: int) -> tuple[float, float]:
    """Move the valve plane of the stress scan, each time elsewhere; return the median time to the new numbers.

    The second number is the processor time that server and workers used until then: it does not count other programs.
    """
    find(driver, "#part-correct").click()
    find(driver, "#valve")
    times, used = [], []
    for i in range(ROUNDS):
        WebDriverWait(driver, 600, 0.2).until(lambda _: text(driver, "#state") == "ready")
        before = text(driver, "#outcome")
        driver.execute_script(_SET, "#valve", str(-8 if i % 2 else 6))
        start, before_s = time.perf_counter(), processor_s(server)
        driver.execute_script("document.querySelector('#apply').click()")
        WebDriverWait(driver, 600, 0.02).until(lambda _, before=before: text(driver, "#outcome") not in ("", before))
        times.append(time.perf_counter() - start)
        used.append(processor_s(server) - before_s)
    WebDriverWait(driver, 600, 0.2).until(lambda _: text(driver, "#state") == "ready")
    return median(times), median(used)


def processor_s(server: int) -> float:
    """Return the processor time that the server and its workers have used."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="utf-8").split()
    fields = [
        Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split() for one in (server, *children)
    ]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def text(driver: WebDriver, selector: str) -> str:
    """Return the text of the first element; empty where there is none."""
    return str(driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector))


def picture(driver: WebDriver, name: str) -> None:
    """Keep a small picture of the page."""
    path = IMAGES / f"room-{name}.png"
    driver.save_screenshot(str(path))
    shown = Image.open(path).convert("RGB")
    shown.quantize(256, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)


def tpd_difference(driver: WebDriver, files: list[Path]) -> float:
    """Return by how much the corrected stress TPD differs from ``analyze`` in the same pose, in percent points."""
    study = driver.execute_async_script(_STUDY)
    pose = study["analyses"][study["reading"]["analysis"] - 1]["correction"]["stress"]
    frame = LVFrame(pose["apex_mm"], pose["base_mm"], pose["anterior"])
    report = analyze(read_studies(files).studies[0], load_models(), Options(frame=frame, interval_draws=0))
    return abs(report.scores.tpd_stress_percent - study["study"]["tpd_stress_percent"])


def worklist_ms(folder: Path) -> float:
    """Return the slowest of several pages of a worklist of 10,000 studies."""
    room = open_room(folder)
    rows = [
        {
            "upload_id": 1,
            "part": i,
            "status": "ready" if i % 3 else "signed",
            "received_at": f"2026-{i:05}",
            "version": 1,
        }
        | {"patient_id": f"P{i * 7919 % 10000:05}", "sss": i % 69 if i % 5 else None}
        for i in range(10_000)
    ]
    with writing(room.engine) as connection:
        connection.execute(insert(uploads).values(fingerprint="f", received_at="2026", reader="r"))
        connection.execute(insert(studies), rows)
    pages = (
        Page(),
        Page(sort="sss", start=5000),
        Page(search="P001", status="ready"),
        Page(sort="patient_id", start=9900),
    )
    times = []
    for page in pages * ROUNDS:
        start = time.perf_counter()
        worklist(room, page)
        times.append(1000 * (time.perf_counter() - start))
    return max(times)


def peaks_mb(server: int) -> tuple[float, float]:
    """Return the peak resident memory of the server and of its largest worker."""

    def peak(process: int) -> float:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return float(text.split("VmHWM:")[1].split()[0]) / 1024

    children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="utf-8").split()
    return peak(server), max(peak(int(child)) for child in children)


def simulated(folder: Path) -> Path:
    """Simulate the patient of the pictures and return the folder."""
    words = [sys.executable, "-m", "myoperf", "simulate", "1", "--seed", "1151", "-o", str(folder), "-q"]
    subprocess.run(words, check=True)
    return folder


def take_pictures(driver: WebDriver, address: str, files: list[Path]) -> None:
    """Upload a patient and take a picture of each part of the page, the last after the valve plane was moved."""
    upload(driver, address, files)
    first_picture_ms(driver, address)
    picture(driver, "slices")
    for part, shown in (("cine", "[data-cine]"), ("raw", "#play")):
        find(driver, f"#part-{part}").click()
        find(driver, shown)
        time.sleep(2.0)
        picture(driver, part)
    correct_once(driver, 6)
    picture(driver, "correct")


def correct_once(driver: WebDriver, mm: int) -> None:
    """Move the valve plane of the stress scan and wait for every number that follows."""
    find(driver, "#part-correct").click()
    find(driver, "#valve")
    driver.execute_script(_SET, "#valve", str(mm))
    WebDriverWait(driver, 600, 0.2).until(lambda _: not find(driver, "#apply").get_attribute("disabled"))
    driver.execute_script("document.querySelector('#apply').click()")
    WebDriverWait(driver, 600, 0.2).until(lambda _: text(driver, "#outcome") and text(driver, "#state") == "ready")


def main() -> None:
    """Measure everything and write the table and the pictures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--study", type=Path, help="folder of one patient's DICOM files; simulated when not given")
    options.add_argument("--pictures", action="store_true", help="take the pictures and measure nothing")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = sorted((given.study or simulated(folder / "patient")).rglob("*.dcm"))
        if given.pictures:
            with served(folder / "room") as (address, _), browser() as driver:
                take_pictures(driver, address, files)
            return
        with served(folder / "room") as (address, server), browser() as driver:
            ready = upload(driver, address, files)
            opened = first_picture_ms(driver, address)
            picture(driver, "slices")
            cine, draw_ms = cine_per_second(driver)
            picture(driver, "cine")
            corrected, used = correction_s(driver, server)
            picture(driver, "correct")
            difference = tpd_difference(driver, files)
            own, worker = peaks_mb(server)
        page = worklist_ms(folder / "many")
    rows = [
        ("upload and analysis of the patient", ready, "s", 1, ""),
        ("from the worklist to the first picture", opened / 1000, "s", ROUNDS, "below 1"),
        ("cine: ten pictures drawn", cine, "times a second", ROUNDS, "20 or more"),
        ("cine: time to draw the ten pictures", draw_ms, "ms", ROUNDS, "below 50"),
        ("from the button to the perfusion numbers of a corrected pose", corrected, "s", ROUNDS, "below 2"),
        ("the same: processor time of server and workers", used, "s", ROUNDS, "below 2"),
        ("TPD of that pose: difference from `myoperf analyze --frame`", difference, "%", 1, "0"),
        ("slowest page of a worklist of 10,000", page / 1000, "s", 4 * ROUNDS, "below 0.2"),
        ("memory of the server at its peak", own, "MB", 1, "below 1000"),
        ("memory of a worker at its peak", worker, "MB", 1, ""),
    ]
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("what", "value", "unit", "n", "wanted"))
        table.writerows((what, f"{value:.3g}", unit, n, wanted) for what, value, unit, n, wanted in rows)
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
