"""The page in a browser, as a reader uses it: from the upload to the signature."""

import os
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import Select, WebDriverWait
from sqlalchemy import insert, update

from myoperf.types import Finding
from myoperf.web.app import create_app
from myoperf.web.database import jobs, now, writing
from myoperf.web.pictures import pack
from myoperf.web.queue import claim, fail
from myoperf.web.security import Access
from myoperf.web.worker import work, work_once
from myoperf.web.worklist import study_of
from support import room as room_of_tests
from support.room import ALL, analyse, make_room

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER) and not os.environ.get("CI"), reason="needs Debian's chromium and chromium-driver"
    ),
]


@pytest.fixture
def room(tmp_path):
    return make_room(tmp_path)


@pytest.fixture
def address(room):
    """Serve the room, with a worker, from threads of this process."""
    ended = threading.Event()
    app = create_app(room, Access(secret=b"secret"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    threads = [
        threading.Thread(target=server.run),
        threading.Thread(target=work, args=(room, ALL, analyse), kwargs={"goes_on": lambda: not ended.is_set()}),
    ]
    for thread in threads:
        thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    ended.set()
    server.should_exit = True
    for thread in threads:
        thread.join()


@pytest.fixture
def browser(address, tmp_path):
    """Open a browser, which is closed before the server stops: a page that still asks would log an error."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or "chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER or "chromedriver"))
    yield driver
    errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    assert not errors


def find(browser, selector, *, seconds=30):
    """Return the first element once it is there."""
    return WebDriverWait(browser, seconds).until(lambda b: b.find_elements(By.CSS_SELECTOR, selector))[0]


def press(browser, selector):
    find(browser, selector).click()


def until(browser, condition, *, seconds=30):
    return WebDriverWait(browser, seconds, ignored_exceptions=()).until(lambda _: condition())


def picture(browser, selector):
    """Return the pixels of a canvas, as a text that differs where they differ."""
    return browser.execute_script("return document.querySelector(arguments[0]).toDataURL()", selector)


def number(browser, label, column):
    return float(text(browser, f'tr[data-number="{label}"] td:nth-of-type({column + 1})').rstrip(" ↑↓"))


def text(browser, selector):
    """Return the text of the first element, empty without one; the page may replace it at any moment."""
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def texts(browser, selector):
    """Return the texts of all elements at one moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
    return browser.execute_script(script, selector)


def press_named(browser, selector, start):
    """Press the element whose text begins so; the page may replace it at any moment."""
    script = "[...document.querySelectorAll(arguments[0])].find((e) => e.textContent.startsWith(arguments[1])).click()"
    browser.execute_script(script, selector, start)


def axis_mm(browser):
    """Return the length of the long axis that the page of corrections says."""
    return float(text(browser, "#pose").removeprefix("axis ").split()[0])


def set_slider(browser, selector, value):
    script = (
        "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
    )
    browser.execute_script(script, selector, value)


def enter(browser, address):
    browser.get(address)
    find(browser, "#reader").send_keys("Dr Ada")
    press(browser, "#enter")


def test_a_reader_reads_a_study_from_the_upload_to_the_signature(browser, address, room, tmp_path):
    enter(browser, address)
    (tmp_path / "stress.dcm").write_bytes(b"a study")
    find(browser, "#files").send_keys(str(tmp_path / "stress.dcm"))
    find(browser, 'tr[data-study="1"][data-status="ready"]').click()

    # slices: palette, window, outlines, cursor
    tile = ".slices canvas.tile"
    find(browser, tile)
    before = picture(browser, tile)
    Select(find(browser, "#palette")).select_by_value("grey")
    until(browser, lambda: picture(browser, tile) != before)
    grey = picture(browser, tile)
    set_slider(browser, "#window-stress-1", 50)
    until(browser, lambda: picture(browser, tile) != grey)
    tiles = browser.find_elements(By.CSS_SELECTOR, '[data-view="sa"] canvas.tile')
    tiles[2].click()
    ActionChains(browser).move_to_element(tiles[4]).perform()
    until(browser, lambda: "%" in text(browser, "#value"))

    # cine: moves, and takes a new window while it plays; keys work though a slider still has the focus
    find(browser, "#window-stress-1").send_keys("2")
    shown = '[data-cine="stress"]'
    find(browser, shown)
    frames = set()
    until(browser, lambda: frames.add(picture(browser, shown)) or len(frames) > 3)
    set_slider(browser, "#window-stress-1", 60)
    brighter = set()
    until(browser, lambda: brighter.add(picture(browser, shown)) or len(brighter - frames) >= 8)  # every gate
    press(browser, "#mask")
    press(browser, "#outlines")
    press(browser, "#play")
    still = picture(browser, shown)
    time.sleep(0.4)
    assert picture(browser, shown) == still

    # correction: the valve plane 10 mm further; the numbers follow
    press(browser, "#part-correct")
    tpd = number(browser, "Total perfusion deficit (TPD)", 0)
    set_slider(browser, "#valve", 10)
    press(browser, "#apply")
    until(browser, lambda: text(browser, "#outcome"))
    assert number(browser, "Total perfusion deficit (TPD)", 0) == pytest.approx(tpd + 1.0, abs=0.11)
    until(browser, lambda: "ready" in text(browser, "#state"))

    # dragging the base on the long axis turns the pose
    pose = text(browser, "#pose")
    base = ActionChains(browser).move_to_element_with_offset(find(browser, "#correct-hla"), 0, 50)
    base.click_and_hold().move_by_offset(6, 8).release().perform()
    assert text(browser, "#pose") != pose

    # a pose in which nothing can be measured says so and changes nothing
    tpd = number(browser, "Total perfusion deficit (TPD)", 0)
    set_slider(browser, "#valve", 30)
    press(browser, "#apply")
    until(browser, lambda: "no wall" in text(browser, "#notice"))
    assert number(browser, "Total perfusion deficit (TPD)", 0) == tpd

    # defects in black, with the scores
    press(browser, "#kind-defects")
    until(browser, lambda: texts(browser, ".eyes figcaption") == ["Stress: defects", "Rest: defects"])

    # standard deviations of normal patients, with the mean of each segment, and its value under the mouse
    press(browser, "#kind-sds")
    until(browser, lambda: texts(browser, ".eyes figcaption") == ["Stress: SDs from normal", "Rest: SDs from normal"])
    ActionChains(browser).move_to_element_with_offset(find(browser, ".eyes canvas"), 0, 70).perform()
    until(browser, lambda: "basal inferior (4): -3." in text(browser, "#hovered"))

    # scores, words, undo, signature
    press(browser, "#kind-scores")
    sums = text(browser, "#sums")
    ActionChains(browser).move_to_element(find(browser, ".eyes canvas")).click().perform()
    until(browser, lambda: "reader's" in text(browser, "#sums"))
    press(browser, "#undo")
    until(browser, lambda: text(browser, "#sums") == sums)
    find(browser, "#impression").send_keys("Small apical defect.")
    press(browser, "#sign")
    WebDriverWait(browser, 30).until(expected_conditions.alert_is_present()).accept()
    until(browser, lambda: "Dr Ada" in text(browser, "#signature"))
    told = study_of(room, 1)
    assert told["reading"]["impression"] == "Small apical defect."
    assert told["signature"]["reader"] == "Dr Ada"

    # export
    press(browser, "#part-report")
    press(browser, "#export-reading")
    until(browser, lambda: any((tmp_path / "downloads").glob("*reading.json")))


def test_another_readers_change_is_shown_and_not_overwritten(browser, address, room):
    from myoperf.web import readings
    from support.room import put_study

    put_study(room)
    enter(browser, address)
    find(browser, 'tr[data-study="1"][data-status="ready"]').click()
    find(browser, "#impression")
    readings.set_impression(room, 1, study_of(room, 1)["study"]["version"], reader="Dr Bo", text="Normal.")
    until(browser, lambda: find(browser, "#impression").get_attribute("value") == "Normal.")


def test_progress_disturbs_neither_a_click_nor_a_word_in_the_making(browser, address, room):
    """Until the numbers of a correction are complete the page looks every half second; it drew everything anew."""
    study = room_of_tests.ready_study(room)
    job = {"study_id": study, "kind": "complete", "state": "running", "reader": "a", "queued_at": now()}
    with writing(room.engine) as connection:
        connection.execute(insert(jobs).values(job | {"progress": "function"}))
    enter(browser, address)
    press(browser, f'tr[data-study="{study}"]')
    until(browser, lambda: "function" in text(browser, "#state"))
    words, part = find(browser, "#impression"), find(browser, "#part-cine")
    words.send_keys("Nor")
    with writing(room.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.state == "running").values(progress="intervals"))
    until(browser, lambda: "intervals" in text(browser, "#state"))
    ActionChains(browser).send_keys("mal.").perform()
    assert words.get_attribute("value") == "Normal."
    assert part.is_displayed(), "the same button"


def show_instead(monkeypatch, **changes):
    """Let every analysis give a report with these changes."""
    report = replace(room_of_tests.closed_form(), **changes)
    monkeypatch.setattr(room_of_tests, "closed_form", lambda: report)


def test_ventricles_that_cannot_be_one_heart_s_are_shown_and_not_compared(browser, address, room, monkeypatch):
    scores = room_of_tests.closed_form().scores
    why = "The ventricle is 74 mm long under stress and 41 mm at rest."
    show_instead(
        monkeypatch,
        scores=replace(scores, sds=None, tpd_ischemic_percent=None, tid_ratio=None),
        findings=(Finding("ventricles-differ", "warning", why),),
    )
    room_of_tests.put_study(room)
    enter(browser, address)
    press(browser, 'tr[data-study="1"][data-status="ready"]')
    until(browser, lambda: why in text(browser, "#apart"))
    assert "ventricles differ" in text(browser, ".doubts")
    eyes = [figure.text for figure in browser.find_elements(By.CSS_SELECTOR, ".eyes figcaption")]
    assert eyes == ["Stress, %", "Rest, %"], "no map of their difference"
    assert text(browser, "#sums").startswith("SSS 14  SRS 4  SDS –")
    rows = browser.find_elements(By.CSS_SELECTOR, '[data-view="sa"] .row')
    assert len(rows) == 2, "both are there to be looked at"
    kinds = texts(browser, ".kinds button")
    assert kinds == ["Uptake", "Defects", "Severity", "SDs", "Scores", "Phase", "Thickening", "Motion"], "what there is"
    press(browser, "#kind-scores")
    find(browser, ".eyes canvas").click()
    until(browser, lambda: "reader's" in text(browser, "#sums"))
    assert "SDS –" in text(browser, "#sums"), "nor are a reader's scores"


@pytest.fixture
def four_patients(room):
    """Analyse four patients of unlike burden before anyone serves the room."""
    burden = {1: ("P-MILD", 4.2), 2: ("P-WORST", 38.6), 3: ("P-NONE", None), 4: ("P-SOME", 17.0)}
    analysed = room_of_tests.analyse

    def analyse_with_burden(given, job, announce):
        outcome = analysed(given, job, announce)
        patient, tpd = burden[job.study_id]
        return replace(outcome, row={**outcome.row, "patient_id": patient, "tpd_stress_percent": tpd})

    for content in (b"a", b"b", b"c", b"d"):
        room_of_tests.put_study(room, content)
    while work_once(room, ALL, analyse_with_burden):
        pass


def test_the_worst_patient_is_found_by_sorting_the_worklist(four_patients, browser, address):
    """A task for a new user, by what the page says alone: the column's title, then the first row."""
    enter(browser, address)
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, 'tr[data-status="ready"]')) == 4)
    press_named(browser, "th button", "TPD stress")
    patients = "tr[data-study] td:nth-child(2)"
    until(browser, lambda: texts(browser, patients) == ["P-WORST", "P-SOME", "P-MILD", "P-NONE"])
    find(browser, "#search").send_keys(Keys.ARROW_DOWN)
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    until(browser, lambda: "P-WORST" in text(browser, "header h1"))
    find(browser, "body").send_keys(Keys.PAGE_DOWN)
    until(browser, lambda: "P-SOME" in text(browser, "header h1"))


def test_a_list_is_gone_through_by_the_keyboard_alone(four_patients, browser, address):
    """Rows keep the focus while the worklist looks for news; back on it, the study read last has it."""
    press_keys = lambda *keys: ActionChains(browser).send_keys(*keys).perform()  # noqa: E731
    focused = "return document.activeElement.dataset.study ?? ''"
    browser.get(address)
    find(browser, "#reader")
    press_keys("Dr Ada", Keys.ENTER)
    until(browser, lambda: browser.execute_script(focused) == "4")
    press_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.execute_script(focused) == "2"
    browser.execute_script("document.querySelector('#status').dispatchEvent(new Event('change'))")
    time.sleep(0.5)
    assert browser.execute_script(focused) == "2", "rows were drawn anew"
    press_keys(Keys.ENTER)
    for patient in ("P-WORST", "P-MILD"):
        until(browser, lambda patient=patient: patient in text(browser, "header h1"))
        for part, shown in (("2", "[data-cine]"), ("1", '[data-view="sa"]')):
            press_keys(part)
            find(browser, shown)
        press_keys(Keys.PAGE_DOWN)
    until(browser, lambda: "no further study" in text(browser, "#notice"))
    press_keys(Keys.ESCAPE)
    until(browser, lambda: browser.execute_script(focused) == "1")


def test_a_wrong_base_is_corrected_by_dragging_it(browser, address, room):
    """A task for a new user: the blue mark on the long axis is dragged to the end of the wall; the numbers change."""
    room_of_tests.put_study(room)
    enter(browser, address)
    press(browser, 'tr[data-study="1"][data-status="ready"]')
    press(browser, "#part-correct")
    canvas = find(browser, "#correct-hla")
    until(browser, lambda: not find(browser, "#apply").get_attribute("disabled"))
    tpd = number(browser, "Total perfusion deficit (TPD)", 0)
    pixels_a_mm = canvas.size["width"] / 190
    length = room_of_tests.closed_form().results[0].frame.length_mm
    mark = length / 2 * pixels_a_mm
    drag = ActionChains(browser).move_to_element_with_offset(canvas, 0, round(mark)).click_and_hold()
    drag.move_by_offset(0, round(-12 * pixels_a_mm)).release().perform()
    until(browser, lambda: abs(axis_mm(browser) - (length - 12.0)) < 1.5)
    moved = axis_mm(browser) - length
    press(browser, "#apply")
    until(browser, lambda: text(browser, "#outcome"))
    assert number(browser, "Total perfusion deficit (TPD)", 0) == pytest.approx(tpd + 0.1 * moved, abs=0.15)


def test_a_limit_of_the_wall_is_dragged_measured_and_given_back(browser, address, room):
    """The outer limit of the middle short-axis slice is drawn outwards; its surroundings follow, the rest stays."""
    room_of_tests.put_study(room)
    enter(browser, address)
    press(browser, 'tr[data-study="1"][data-status="ready"]')
    press(browser, "#part-correct")
    press(browser, "#mode-wall")
    canvas = find(browser, "#limits-1")
    until(browser, lambda: not find(browser, "#apply").get_attribute("disabled"))
    tpd = number(browser, "Total perfusion deficit (TPD)", 0)
    assert text(browser, "#pose") == "limits as the machine has them"
    shown = picture(browser, "#limits-1")
    drag = ActionChains(browser).move_to_element_with_offset(canvas, round(0.28 * canvas.size["width"]), 0)
    drag.click_and_hold().move_by_offset(8, 0).move_by_offset(8, 0).release().perform()
    until(browser, lambda: text(browser, "#pose").startswith("limits moved by up to"))
    assert picture(browser, "#limits-1") != shown
    moved = float(text(browser, "#pose").removeprefix("limits moved by up to ").split()[0])
    assert moved > 3.0
    press(browser, "#apply")
    until(browser, lambda: text(browser, "#outcome"))
    assert number(browser, "Total perfusion deficit (TPD)", 0) == pytest.approx(tpd + 0.2 * moved, abs=0.15)
    until(browser, lambda: "ready" in text(browser, "#state"))
    told = study_of(room, 1)["analyses"][-1]
    limits = told["correction"]["stress"]["limits"]
    assert "apex_mm" not in told["correction"]["stress"], "the pose stays"
    assert max(map(max, limits["outer_mm"])) == pytest.approx(moved, abs=0.1)
    assert max(map(max, limits["inner_mm"])) == 0.0
    assert min(map(min, limits["outer_mm"])) == 0.0, "the other side stays"
    press(browser, "#machine-limits")
    press(browser, "#apply")
    until(browser, lambda: study_of(room, 1)["analyses"][-1]["correction"] == {"stress": {}})
    until(browser, lambda: number(browser, "Total perfusion deficit (TPD)", 0) == tpd)


def test_space_stops_the_cine_and_the_views_also_after_a_button_was_clicked(browser, address, room, monkeypatch):
    views = np.ones((6, 8, 8), np.uint16)
    raw = ("raw/stress", pack(views, step=1.0, angles_deg=[60.0 * i for i in range(6)], heart=None))
    arrays = (*room_of_tests.closed_form_arrays(), raw)
    monkeypatch.setattr(room_of_tests, "closed_form_arrays", lambda: arrays)
    room_of_tests.ready_study(room)
    enter(browser, address)
    press(browser, "tr[data-study]")
    for part in ("#part-cine", "#part-raw"):
        press(browser, part)
        find(browser, "#play")
        for clicked in (part, "#kind-scores"):
            press(browser, clicked)
            find(browser, "#play")
            before = text(browser, "#play")
            ActionChains(browser).send_keys(Keys.SPACE).perform()
            until(browser, lambda before=before: text(browser, "#play") != before)
    find(browser, "#impression").send_keys("no defect, normal.")
    assert find(browser, "#impression").get_attribute("value") == "no defect, normal."


def test_a_button_that_the_tab_key_led_to_is_pressed_by_space(browser, address, room):
    room_of_tests.ready_study(room)
    enter(browser, address)
    press(browser, "tr[data-study]")
    press(browser, "#part-cine")
    find(browser, "#play")
    press(browser, "#kind-uptake")
    find(browser, "#impression").click()
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    named = browser.execute_script("return document.activeElement.id")
    assert named.startswith("kind-")
    assert named != "kind-uptake"
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    until(browser, lambda: find(browser, f"#{named}").get_attribute("aria-pressed") == "true")
    assert text(browser, "#play") == "Pause"


def test_a_list_without_a_study_says_what_to_do(browser, address, room):
    enter(browser, address)
    until(browser, lambda: "Drop the DICOM files" in text(browser, "#empty"))
    room_of_tests.ready_study(room)
    find(browser, "#search").send_keys("nobody")
    press(browser, "#show-all")
    until(browser, lambda: texts(browser, "tr[data-study]"))
    assert text(browser, "#empty") == ""


@pytest.fixture
def waiting(room):
    """Return the job of a study that waits, claimed before the worker starts."""
    room_of_tests.put_study(room)
    return claim(room, ALL)


def test_a_study_that_waits_or_failed_shows_itself_once_it_is_analysed(waiting, browser, address, room):
    study = waiting.study_id
    enter(browser, address)
    until(browser, lambda: texts(browser, "tr[data-study]"))  # the list is drawn again while a study is analysed
    press_named(browser, "tr[data-study]", str(study))
    until(browser, lambda: "not analysed yet" in text(browser, "#why"))
    fail(room, waiting, "There is no heart.")
    until(browser, lambda: text(browser, "#why") == "There is no heart.")
    press(browser, "#retry")
    until(browser, lambda: texts(browser, "tr[data-study]"))
    press_named(browser, "tr[data-study]", str(study))
    find(browser, "canvas.tile")
    find(browser, "#impression")


def test_an_earlier_study_of_the_patient_stands_beside(browser, address, room):
    from support.room import put_study

    study, _ = put_study(room, b"now"), put_study(room, b"earlier")
    enter(browser, address)
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, 'tr[data-status="ready"]')) == 2)
    press(browser, f'tr[data-study="{study}"]')
    Select(find(browser, "#prior")).select_by_value("2")
    until(browser, lambda: "study 2" in text(browser, '[data-view="sa"] .row:nth-of-type(2)'))
    eyes = [figure.text for figure in browser.find_elements(By.CSS_SELECTOR, ".eyes figcaption")]
    assert eyes == [
        *("Stress, %", "Stress, study 2, %", "Stress: change, %"),
        *("Rest, %", "Rest, study 2, %", "Rest: change, %"),
    ]
    assert "TPD" in text(browser, "#prior-changes")
    press(browser, "#part-cine")
    for scan in ("stress", "study 2: stress"):
        shown, frames = f'[data-cine="{scan}"]', set()
        find(browser, shown)
        until(browser, lambda shown=shown, frames=frames: frames.add(picture(browser, shown)) or len(frames) > 2)
    press(browser, "#part-slices")
    Select(find(browser, "#row-0")).select_by_value("rest")
    until(browser, lambda: text(browser, '[data-view="sa"] .row:nth-of-type(1)') == "Rest")
    Select(find(browser, "#prior")).select_by_value("0")
    until(browser, lambda: "study 2" not in text(browser, "#part"))


def test_a_reader_study_is_made_read_and_exported_by_the_page(browser, address, room, tmp_path):
    from support.room import put_study

    put_study(room)
    enter(browser, address)
    find(browser, 'tr[data-status="ready"]')
    press(browser, "#trials")
    find(browser, "#trial-name").send_keys("Angina")
    find(browser, "#trial-cases").send_keys("1, 1, 0, 0")
    press(browser, "#make-trial")
    for arm in ("without help", "with the machine's help"):
        until(browser, lambda arm=arm: text(browser, "#arm") == arm)
        find(browser, ".slices canvas.tile")
        assert "EX-0042" not in text(browser, "body")
        assert bool(text(browser, "#help")) == (arm != "without help")
        for vessel in ("LAD", "LCX", "RCA"):
            assert not find(browser, "#answer").is_enabled()
            press(browser, f'fieldset[data-vessel="{vessel}"] input[value="0.8"]')
        press(browser, "#answer")
    find(browser, "#all-read")
    browser.get(f"{address}/#/trials")
    until(browser, lambda: "2 of 2" in text(browser, 'tr[data-trial="1"]'))
    browser.find_elements(By.CSS_SELECTOR, 'tr[data-trial="1"] a.button')[0].click()
    until(browser, lambda: any((tmp_path / "downloads").glob("*readings.csv")))
