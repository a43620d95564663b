"""The room as a browser asks it: what it answers, and what it refuses."""

import hashlib
import io
import json
import subprocess
import time
import zipfile

import pydicom
import pytest
from sqlalchemy import event, insert, update

from myoperf.web.database import log, reading, studies, uploads, writing
from myoperf.web.pictures import unpack
from myoperf.web.security import Access
from myoperf.web.worker import CORRECTIONS
from support.report import VENTRICLE
from support.room import client_of, make_room, put_study, ready_study, work_all

POSE = {name: getattr(VENTRICLE.frame, name).tolist() for name in ("apex_mm", "base_mm", "anterior")}


@pytest.fixture
def room(tmp_path):
    return make_room(tmp_path)


@pytest.fixture
def client(room):
    return client_of(room)


def upload(client, content=b"study"):
    sha256 = client.put("/api/files", content=content).json()["sha256"]
    assert sha256 == hashlib.sha256(content).hexdigest()
    return client.post("/api/uploads", json={"files": [{"name": "a/b.dcm", "sha256": sha256}]}).json()["study"]


def longer(mm):
    base = VENTRICLE.frame.base_mm + mm * VENTRICLE.frame.axis
    return {**POSE, "base_mm": base.tolist()}


def test_from_the_upload_to_the_signature(room, client):
    study = upload(client)
    assert client.get("/api/studies").json()["studies"][0]["status"] == "waiting"
    work_all(room)
    told = client.get(f"/api/studies/{study}")
    assert told.headers["etag"] == '"1"'
    scene = client.get(f"/api/studies/{study}/files/1/scene").json()
    assert [scan["name"] for scan in scene["scans"]] == ["stress", "rest"]
    header, heart = unpack(client.get(f"/api/studies/{study}/files/1/heart/stress").content)
    assert heart.shape == tuple(header["shape"])

    body = {"version": 1, "poses": {"stress": longer(6.0)}}
    assert client.post(f"/api/studies/{study}/correction", json=body).status_code == 202
    work_all(room, CORRECTIONS)
    told = client.get(f"/api/studies/{study}").json()
    new = client.get(f"/api/studies/{study}/files/{told['reading']['analysis']}/scene").json()
    assert new["scans"][0]["lv_frame"]["base_mm"] == pytest.approx(longer(6.0)["base_mm"])
    assert client.get(f"/api/studies/{study}/export/report.pdf").status_code == 404, "not written yet"
    work_all(room)

    version = client.get(f"/api/studies/{study}").json()["study"]["version"]
    scores = {"version": version, "stress": [1] * 17, "rest": [0] * 17}
    assert client.post(f"/api/studies/{study}/scores", json=scores).json() == {"version": version + 1}
    assert client.post(f"/api/studies/{study}/scores", json=scores).json()["code"] == "conflict"
    assert client.post(f"/api/studies/{study}/sign", json={"version": version + 1}).status_code == 200
    refused = client.post(f"/api/studies/{study}/scores", json={**scores, "version": version + 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "signed")
    assert client.post(f"/api/studies/{study}/addenda", json={"text": "More."}).status_code == 201

    exported = json.loads(client.get(f"/api/studies/{study}/export/reading.json").content)
    assert exported["reading"]["stress_scores"] == [1] * 17
    assert exported["signature"]["reader"] == "Dr Ada"
    assert client.get(f"/api/studies/{study}/export/report.pdf").content.startswith(b"%PDF-")


def test_other_studies_of_the_patient_are_read_beside_and_compared(room, client):
    study, earlier, alien = (upload(client, name) for name in (b"now", b"earlier", b"alien"))
    work_all(room)
    with writing(room.engine) as connection:
        connection.execute(update(studies).where(studies.c.id == alien).values(patient_id="EX-0043"))
    assert [one["id"] for one in client.get(f"/api/studies/{study}/priors").json()] == [earlier]
    compared = client.get(f"/api/studies/{study}/priors/{earlier}").json()
    changes = {one["name"]: one for one in compared["changes"]}
    assert {"tpd_stress_percent", "stress.lvef_percent"} <= changes.keys()
    assert all(one["before"] == one["after"] and not one["exceeds"] for one in compared["changes"])
    assert client.get(f"/api/studies/{study}/priors/{alien}").status_code == 404, "another patient"
    assert client.get(f"/api/studies/{study}/priors/{study}").status_code == 404
    with writing(room.engine) as connection:
        connection.execute(update(studies).values(patient_id="EX-0042"))
        connection.execute(update(studies).where(studies.c.id == alien).values(sex="M"))
        connection.execute(update(studies).where(studies.c.id == earlier).values(patient_id=None))
    assert client.get(f"/api/studies/{study}/priors").json() == [], "a sex that contradicts, and no patient ID"
    assert client.get(f"/api/studies/{earlier}/priors").json() == []


def test_a_second_correction_keeps_the_pose_of_the_other_scan(room, client):
    study = ready_study(room)
    for name, mm in (("stress", 6.0), ("rest", -4.0)):
        version = client.get(f"/api/studies/{study}").json()["study"]["version"]
        client.post(f"/api/studies/{study}/correction", json={"version": version, "poses": {name: longer(mm)}})
        work_all(room)
    made = client.get(f"/api/studies/{study}").json()["analyses"][-1]
    assert {name: pose["base_mm"] for name, pose in made["correction"].items()} == {
        "stress": pytest.approx(longer(6.0)["base_mm"]),
        "rest": pytest.approx(longer(-4.0)["base_mm"]),
    }


def moved_limits(mm, rows=12):
    return {"inner_mm": [[0.0] * 24] * rows, "outer_mm": [[mm] * 24] * rows}


def test_limits_of_the_wall_are_kept_beside_the_pose_and_given_back_to_the_machine(room, client):
    """The machine's version stays the first analysis; each reader's is an analysis with who and when."""
    study = ready_study(room)

    def correct(**corrected):
        version = client.get(f"/api/studies/{study}").json()["study"]["version"]
        sent = client.post(f"/api/studies/{study}/correction", json={"version": version, **corrected})
        work_all(room)
        return sent.status_code

    assert correct(poses={"stress": longer(6.0)}) == 202
    assert correct(limits={"stress": moved_limits(2.0), "rest": moved_limits(-1.0)}) == 202
    told = client.get(f"/api/studies/{study}").json()
    made = next(one for one in told["analyses"] if one["number"] == told["reading"]["analysis"])
    assert made["correction"]["stress"] == {**longer(6.0), "limits": moved_limits(2.0)}
    assert made["correction"]["rest"] == {"limits": moved_limits(-1.0)}
    assert (made["reader"], made["made_at"][:2]) == ("Dr Ada", "20")
    first = told["analyses"][0]
    assert (first["reader"], first["correction"]) == ("machine", None)

    assert correct(limits={"stress": None}) == 202
    told = client.get(f"/api/studies/{study}").json()
    assert told["analyses"][-1]["correction"] == {"stress": longer(6.0), "rest": {"limits": moved_limits(-1.0)}}
    assert client.post(f"/api/studies/{study}/undo", json={"version": told["study"]["version"]}).status_code == 200
    back = client.get(f"/api/studies/{study}").json()
    assert back["reading"]["analysis"] == made["number"]
    client.post(f"/api/studies/{study}/sign", json={"version": back["study"]["version"]})
    body = {"version": back["study"]["version"] + 1, "limits": {"rest": moved_limits(3.0)}}
    refused = client.post(f"/api/studies/{study}/correction", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "signed")
    assert len(client.get(f"/api/studies/{study}").json()["analyses"]) == len(back["analyses"])


@pytest.mark.parametrize("limits", [moved_limits(2.0, rows=3), moved_limits(21.0), {"inner_mm": [[0.0] * 24] * 12}])
def test_limits_that_no_wall_can_have_are_refused_before_anything_is_queued(room, client, limits):
    study = ready_study(room)
    answer = client.post(f"/api/studies/{study}/correction", json={"version": 1, "limits": {"stress": limits}})
    assert answer.status_code == 422
    assert client.post(f"/api/studies/{study}/correction", json={"version": 1}).status_code == 422
    assert client.get(f"/api/studies/{study}").json()["study"]["version"] == 1


def test_an_impossible_pose_is_refused_before_anything_is_queued(room, client):
    study = ready_study(room)
    for pose in ({**POSE, "base_mm": POSE["apex_mm"]}, {**POSE, "anterior": [0.0, 0.0]}):
        answer = client.post(f"/api/studies/{study}/correction", json={"version": 1, "poses": {"stress": pose}})
        assert answer.status_code == 422
    assert client.get(f"/api/studies/{study}").json()["study"]["version"] == 1


# --- who is let in --------------------------------------------------------------------------------


def test_without_a_session_nothing_but_the_page_is_answered(room):
    client = client_of(room, reader=None)
    assert client.get("/").status_code == 200
    assert client.get("/api/session").json() == {"reader": None, "token": False}
    for path in ("/api/studies", "/api/studies/1/files/1/scene", "/api/palettes"):
        assert (client.get(path).status_code, client.get(path).json()["code"]) == (401, "no-session")
    assert client.put("/api/files", content=b"x").status_code == 401


def test_a_forged_or_old_cookie_is_no_session(room, monkeypatch):
    access = Access(secret=b"secret")
    cookie = access.open_session("Dr Ada", "")
    assert access.reader_of(cookie) == "Dr Ada"
    assert access.reader_of(cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) is None
    assert Access(secret=b"other").reader_of(cookie) is None
    assert Access(secret=b"secret", token="t").reader_of(cookie) is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert access.reader_of(cookie) is None


def test_the_token_is_needed_where_there_is_one(room):
    client = client_of(room, reader=None, token="right")
    for token in ("", "wrong"):
        assert client.post("/api/session", json={"reader": "Dr Ada", "token": token}).status_code == 403
    assert client.post("/api/session", json={"reader": "Dr Ada", "token": "right"}).status_code == 204
    assert client.get("/api/studies").status_code == 200


def test_a_reader_has_a_name(room):
    client = client_of(room, reader=None)
    for name in ("", "  ", "x" * 61):
        assert client.post("/api/session", json={"reader": name}).status_code in (403, 422)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(room):
    answer = client_of(room, reader=None).post("/api/session", json={"reader": "Dr Ada"})
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-MyoPerf": None},
    ],
)
def test_a_change_from_another_site_is_refused(room, client, headers):
    study = ready_study(room)
    if headers == {"X-MyoPerf": None}:
        del client.headers["X-MyoPerf"]
        headers = {}
    answer = client.post(f"/api/studies/{study}/sign", json={"version": 1}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert client.get(f"/api/studies/{study}").json()["signature"] is None


def test_the_own_page_may_change(room, client):
    study = ready_study(room)
    headers = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"/api/studies/{study}/sign", json={"version": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""])
def test_a_server_called_by_another_name_does_not_answer(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 403


def test_every_answer_has_the_headers_that_protect_it(room, client):
    ready_study(room)
    for path in ("/", "/static/app.js", "/api/studies", "/api/nothing", "/api/studies/1/files/1/scene"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"], path
    report = client.get("/api/studies/1/files/1/report.html").headers["content-security-policy"]
    assert report.startswith("sandbox; default-src 'none'")
    assert "script-src" not in report


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2Fapp.py",
        "/static/%2e%2e/app.py",
        "/api/studies/1/files/1/../../../../etc/passwd",
        "/api/studies/1/files/1/..%2f..%2froom.sqlite",
        "/api/studies/1/export/..%2froom.sqlite",
        "/api/studies/1/files/1/record%2F0",
    ],
)
def test_no_path_of_a_request_reaches_the_disk(room, client, path):
    ready_study(room)
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"root:" not in answer.content


def test_bodies_have_limits(room):
    client = client_of(room, upload_bytes=1000)
    assert client.put("/api/files", content=b"x" * 1000).status_code == 200
    assert client.put("/api/files", content=b"x" * 1001).status_code == 413
    assert len(list(room.blobs.keys())) == 1
    assert not list(room.blobs.folder.glob("*.part"))
    announced = client.put("/api/files", content=b"", headers={"Content-Length": "9000000000"})
    assert (announced.status_code, announced.json()["code"]) == (413, "too-large"), "before the bytes are sent"
    study = put_study(room)
    text = {"version": 1, "text": "x" * (2 << 20)}
    assert client.post(f"/api/studies/{study}/impression", json=text).status_code == 413


def test_invalid_requests_are_named_without_their_values(client):
    answer = client.post("/api/uploads", json={"files": [{"name": "Doe^Jane", "sha256": "no hash"}]})
    assert answer.status_code == 422
    assert "files.0.sha256" in answer.json()["message"]
    assert "Doe" not in answer.text


def test_no_reader_is_called_as_the_machine_is(room):
    client = client_of(room, reader=None)
    assert client.post("/api/session", json={"reader": " Machine "}).status_code == 403


@pytest.mark.parametrize("letter", ["\\ud800", "\\u0000", "\\u001b"])
def test_what_is_no_letter_in_a_readers_words_is_left_out_and_the_study_stays_readable(room, client, letter):
    study = ready_study(room)
    body = f'{{"version": 1, "text": "Normal.{letter}"}}'.encode()
    sent = client.post(f"/api/studies/{study}/impression", content=body, headers={"content-type": "application/json"})
    assert sent.status_code == 200
    assert client.get(f"/api/studies/{study}").json()["reading"]["impression"] == "Normal."
    assert client.post(f"/api/studies/{study}/sign", json={"version": 2}).status_code == 200
    addendum = f'{{"text": "More.{letter}"}}'.encode()
    client.post(f"/api/studies/{study}/addenda", content=addendum, headers={"content-type": "application/json"})
    assert client.get(f"/api/studies/{study}").json()["addenda"][0]["text"] == "More."


@pytest.mark.parametrize(
    "path", ["studies/{}", "studies/{}/files/1/scene", "studies/1/files/{}/scene", "studies?start={}", "trials/{}/next"]
)
def test_numbers_that_no_database_holds_are_refused(room, client, path):
    ready_study(room)
    assert client.get(f"/api/{path.format(10**30)}").status_code == 422
    assert client.post("/api/studies/1/undo", json={"version": 10**30}).status_code == 422


def test_the_list_of_an_upload_may_be_as_long_as_an_upload_may_be(client):
    files = [{"name": f"folder/of/a/patient/IM{i:06}.dcm", "sha256": "0" * 64} for i in range(15_000)]
    assert client.post("/api/uploads", json={"files": files}).status_code == 404, "the files are not there, that is all"


def test_parts_of_files_and_broken_requests_do_no_harm(room, client):
    ready_study(room)
    ranges = "bytes=" + ",".join(f"{i}-{i + 1}" for i in range(0, 4000, 2))
    assert client.get("/api/studies/1/files/1/scene", headers={"range": ranges}).status_code < 500
    deep = client.post(
        "/api/studies/1/impression", content=b"[" * 200_000, headers={"content-type": "application/json"}
    )
    assert 400 <= deep.status_code < 500
    poses = (
        b'{"version": 1, "poses": {"stress": {"apex_mm": [NaN, 0, 0], "base_mm": [1, 2, 3], "anterior": [0, 1, 0]}}}'
    )
    sent = client.post("/api/studies/1/correction", content=poses, headers={"content-type": "application/json"})
    assert sent.status_code == 422


def test_the_log_holds_who_did_what_without_a_patient(room, client):
    study = upload(client)
    work_all(room)
    client.post(f"/api/studies/{study}/opened")
    client.post(f"/api/studies/{study}/sign", json={"version": 1})
    client.get(f"/api/studies/{study}/export/results.json")
    patient = client.get(f"/api/studies/{study}").json()["study"]["patient_id"]
    assert patient
    with reading(room.engine) as connection:
        rows = connection.execute(log.select()).all()
    assert [row.action for row in rows] == ["receive", "analyze done", "open", "sign", "export"]
    assert patient not in str(rows)


def test_a_page_of_a_worklist_of_ten_thousand_takes_a_few_statements_and_its_own_rows(room, client):
    with writing(room.engine) as connection:
        connection.execute(insert(uploads).values(fingerprint="f", received_at="2026", reader="r"))
        rows = [
            {
                "upload_id": 1,
                "part": i,
                "status": "ready" if i % 3 else "signed",
                "version": 1,
                "received_at": f"2026-01-01T00:{i // 60 % 60:02}:{i % 60:02}Z",
                "patient_id": f"P{i * 7919 % 10000:05}",
                "sss": i % 69 if i % 5 else None,
            }
            for i in range(10_000)
        ]
        connection.execute(insert(studies), rows)
    queries = ("", "?sort=sss&order=asc", "?search=P001&status=ready", "?sort=patient_id&start=9900")
    statements = []
    event.listen(room.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for query in queries:
        statements.clear()
        told = client.get(f"/api/studies{query}").json()
        assert 0 < len(told["studies"]) <= 50
        chosen = [one for one in statements if one.startswith("SELECT studies.")]
        assert len(chosen) == 1
        assert "LIMIT" in chosen[0]
        assert len([one for one in statements if one.startswith("SELECT")]) <= 3
    scores = [study["sss"] for study in client.get("/api/studies?sort=sss&order=asc&count=200").json()["studies"]]
    assert scores == sorted(scores)
    assert client.get("/api/studies?search=P001").json()["total"] == 100
    assert client.get("/api/studies?sort=note").status_code == 422
    assert client.get("/api/studies?search=%25").json()["total"] == 0


def test_exports_of_a_signed_study_hold_the_readers_words_and_signature(room, client):
    """They were the machine's alone; of a study that nobody has read they still are."""
    study = ready_study(room)
    export = f"/api/studies/{study}/export"
    assert client.get(f"{export}/report.pdf").content == b"%PDF", "as the machine wrote it"
    version = client.get(f"/api/studies/{study}").json()["study"]["version"]
    told = {"version": version, "text": "Small inferior defect."}
    version = client.post(f"/api/studies/{study}/impression", json=told).json()["version"]
    assert client.post(f"/api/studies/{study}/sign", json={"version": version}).status_code == 200
    pdf = client.get(f"{export}/report.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf.content, check=True, capture_output=True)
    first = done.stdout.decode().split("\f")[0]
    assert "Small inferior defect." in first
    assert "Signed by Dr Ada, " in first
    with zipfile.ZipFile(io.BytesIO(client.get(f"{export}/dicom.zip").content)) as archive:
        encapsulated = pydicom.dcmread(io.BytesIO(archive.read("report_pdf.dcm"))).EncapsulatedDocument
        sr = pydicom.dcmread(io.BytesIO(archive.read("sr.dcm")))
        assert "report_page.dcm" in archive.namelist()
    assert encapsulated.startswith(b"%PDF-")
    impressions = [item.TextValue for item in sr.ContentSequence if item.ValueType == "TEXT"]
    assert any("Small inferior defect. Signed by Dr Ada" in text for text in impressions)
