import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

from myoperf.errors import AnalysisError, InputError, MissingWeightsError
from myoperf.geometry import affine_from_axes, index_from_lps
from myoperf.lv import engine as lv_engine
from myoperf.lv.compact_network import LVCompact, LVCompactConfig
from myoperf.lv.engine import TorchNetwork
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.lv.network import Agreement, NetworkLV, load_network_lv
from myoperf.lv.sampling import COARSE, COARSE_MM
from myoperf.research.lv_network import recipe as lv_recipe
from myoperf.research.lv_network import training as lv
from myoperf.research.lv_network.cases import Case, folds, read_cases, read_real, redraw_wall, write_cases
from myoperf.research.lv_network.disturbance import DISTURBANCES, disturb_case
from myoperf.research.lv_network.evaluation import MEASURES, failure_detection, summarise
from myoperf.research.lv_network.sampling import coarse_points, middle_mm, normalise, sample_at, single
from myoperf.research.lv_network.simulated import draw_case
from myoperf.research.lv_network.training import Schedule, dice_loss, prepare_case, train_lv
from myoperf.research.reorientation.losses import rotation_loss, segmentation_loss
from myoperf.research.reorientation.pose import wrap_angle
from myoperf.types import LVFrame, Volume


def case(patient="A", name="A-1"):
    affine = affine_from_axes((-68, -68, -68), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], 4.0)
    place = np.stack(np.meshgrid(*(np.arange(35),) * 3, indexing="ij"), -1) * 4.0 - 68
    radius = np.linalg.norm(place[..., ::-1] - np.array([4.0, -4.0, 0.0]), axis=-1)
    labels = np.where(radius < 20, 2, np.where(radius < 32, 1, 0)).astype(np.uint8)
    image = Volume((labels == 1).astype(np.float32) + 0.05, affine)
    return Case(patient, name, image, image.with_array(labels), LVFrame((28, -32, -8), (-20, 24, 8), (0, 0, 1)), False)


def _use_a_small_network(patch):
    torch.set_num_threads(1)
    config = LVCompactConfig(channels=(4, 6, 8), locator_channels=(4, 6, 8))
    for module in (lv, lv_recipe, lv_engine):
        patch.setattr(module, "LVCompact", lambda: LVCompact(config))
    patch.setattr(lv, "cpu_has_bfloat16", lambda: False)
    return config


@pytest.fixture
def small(monkeypatch):
    """Train a small network, in single precision on every processor."""
    return _use_a_small_network(monkeypatch)


def centre_error_mm(net, one):
    """How far the localiser places the ventricle from its centre."""
    middle = middle_mm(one.image)
    inverse = single(index_from_lps(one.image.lps_from_index))
    field = normalise(sample_at(single(one.image.array), inverse, coarse_points(middle)))
    with torch.inference_mode():
        shift = net.eval().locator(field[None])[0, :3] * 0.5 * COARSE * COARSE_MM
    return float(np.linalg.norm((middle + shift).numpy() - one.frame.centre_mm))


def losses(net, cases):
    prepared, rng = [prepare_case(one) for one in cases], np.random.default_rng(5)
    with torch.no_grad():
        steps = lv._segment_step(net.train(), prepared, Schedule(), rng), lv._locate_step(net, prepared, rng)
    return np.array([float(step) for step in steps])


@pytest.mark.slow
def test_a_short_training_locates_and_segments_patients_it_was_not_trained_on_better(small, tmp_path):
    """Untrained: 73 mm off, losses 2.58 and 1.84. After 20 steps: 21 mm, 1.66 and 1.46."""
    trained_on, others = ([draw_case(seed, index, "spect") for index in range(3)] for seed in (1, 2))
    torch.manual_seed(0)
    untrained = LVCompact(small)
    schedule = Schedule(steps=20, batch=1, rate=1e-2, averaged=0.7)
    trained = train_lv(trained_on, schedule, folder=tmp_path)
    before, after = (np.mean([centre_error_mm(net, one) for one in others]) for net in (untrained, trained))
    assert after < before - 25.0
    assert (losses(trained, others) < 0.9 * losses(untrained, others)).all()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 20


def test_a_training_that_was_stopped_resumes_to_the_same_network(small, tmp_path, monkeypatch):
    recipe = Schedule(steps=4, batch=1)
    whole = train_lv([case()], recipe, folder=tmp_path / "whole")
    begun = 0

    def stop_at_the_third(*args):
        nonlocal begun
        begun += 1
        if begun == 3:
            raise KeyboardInterrupt
        return segment(*args)

    segment = lv._segment_step
    monkeypatch.setattr(lv, "_segment_step", stop_at_the_third)
    monkeypatch.setattr(lv, "SAVE_EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        train_lv([case()], recipe, folder=tmp_path / "parts")
    monkeypatch.setattr(lv, "_segment_step", segment)
    parts = train_lv([case()], recipe, folder=tmp_path / "parts", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_absent_weights_are_named(tmp_path):
    with pytest.raises(MissingWeightsError, match="not installed"):
        load_network_lv(tmp_path)


@pytest.mark.parametrize("in_hardware", [False, True])
def test_bfloat16_is_used_only_where_the_processor_has_it(small, monkeypatch, in_hardware):
    """Emulated, it takes some 16 times as long as single precision."""
    monkeypatch.setattr(lv, "cpu_has_bfloat16", lambda: in_hardware)
    net, used = LVCompact(small), []
    for part in (net, net.locator):
        part.register_forward_hook(lambda *_: used.append(torch.is_autocast_enabled("cpu")))
    losses(net, [case()])
    assert used
    assert set(used) == {in_hardware}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run the smoke recipe on three real patients and resume it; return its folder and what each training learned."""
    folder, learned = tmp_path_factory.mktemp("lv") / "out", []
    cases = tuple(case(patient, f"{patient}-1") for patient in "ABC")

    def remember(cases, schedule, **options):
        learned.append([one.name for one in cases])
        return train_lv(cases[:1], schedule, **options)

    with pytest.MonkeyPatch.context() as patch:
        _use_a_small_network(patch)
        patch.setattr(lv_recipe, "read_real", lambda _: cases)
        patch.setattr(lv_recipe, "summarise", partial(summarise, resamples=50))
        patch.setattr(lv_recipe, "train_lv", remember)
        lv_recipe.run("smoke", folder, 0, data=folder, resume=False, quiet=True)
        before = (folder / "model.safetensors").read_bytes()
        patch.setattr(lv_recipe, "train_lv", None)  # what is trained is not trained again
        lv_recipe.run("smoke", folder, 0, data=folder, resume=True, quiet=True)
        assert (folder / "model.safetensors").read_bytes() == before
    return folder, learned


@pytest.mark.slow
def test_the_recipe_trains_judges_and_writes_a_card(small, smoke):
    folder, _ = smoke
    card = json.loads((folder / "card.json").read_text())
    assert "CC BY 4.0" in card["training_data"]
    assert card["metrics"]["real and simulated, real volumes not seen"]["patients"] == 3
    assert card["metrics"]["classical method, simulated volumes"]["volumes"] == 1
    assert load_network_lv(folder, engine="float32").card["sha256"] == card["sha256"]
    rows = (folder / "judged.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 3 + 4
    assert not any("level" in row for row in rows)  # judged on the walls as they were drawn
    assert card["levels"] == [0.6]


def test_real_volumes_are_learned_at_every_level_and_simulated_ones_as_they_are(smoke):
    _, learned = smoke
    simulated, *folded, last = [[name for name in names if name[:2] in ("A-", "B-", "C-")] for names in learned]
    assert not simulated
    held_out = [{"A", "B", "C"} - {name[0] for name in names} for names in folded]
    assert sorted(patient for group in held_out for patient in group) == ["A", "B", "C"]
    for names in (*folded, last):
        drawn = [name for name in names if "level" not in name]
        assert names == [*drawn, *(f"{name}, level 0.60" for name in drawn)]
    assert len(last) == 6
    assert all(len(names) > len(last) for names in learned[3:])  # and the simulated ones with them


def test_a_summary_counts_patients_and_keeps_what_was_not_found_out_of_the_errors():
    measures = dict.fromkeys(MEASURES, 1.0)
    rows = [
        {"patient": "A", "case": "A-1", "found": True, "flagged": False, "bad": False, **measures},
        {"patient": "A", "case": "A-2", "found": True, "flagged": True, "bad": True, **measures, "axis_error_deg": 3.0},
        {
            "patient": "B", "case": "B-1", "found": False, "flagged": True, "bad": True,
            **dict.fromkeys(MEASURES, np.nan), "wall_dice": 0.0, "pool_dice": 0.0,
        },
    ]  # fmt: skip
    summary = summarise(rows)
    assert (summary["patients"], summary["volumes"], summary["found"]) == (2, 3, 2)
    assert summary["wall_dice"]["mean"] == pytest.approx(2 / 3, abs=1e-4)
    assert summary["axis_error_deg"]["mean"] == pytest.approx(2.0)
    detection = failure_detection(rows)
    assert detection["sensitivity"]["value"] == 1.0
    assert detection["specificity"]["n"] == 1


@pytest.mark.parametrize("how", DISTURBANCES)
def test_a_spoilt_volume_differs_and_keeps_its_truth(how):
    plain = case()
    spoilt = disturb_case(plain, np.random.default_rng(0), how)
    assert how in spoilt.name
    assert spoilt.labels is plain.labels
    assert np.isfinite(spoilt.image.array).all()
    assert (spoilt.image.array >= 0).all()
    wall = plain.labels.array[0] == 1
    assert np.abs(spoilt.image.array[0] - plain.image.array[0])[wall].max() > 0.2
    if how == "wiped":
        assert spoilt.image.array[0][wall].mean() < 0.2 * plain.image.array[0][wall].mean()


def test_passes_that_disagree_are_doubted():
    assert not Agreement(overlap=0.97, spread_deg=2.0, volume_spread_percent=1.0, sureness=0.97).doubtful
    assert Agreement(overlap=0.7, spread_deg=2.0, volume_spread_percent=1.0, sureness=0.97).doubtful
    assert Agreement(overlap=0.97, spread_deg=30.0, volume_spread_percent=1.0, sureness=0.97).doubtful


def test_a_doubt_names_only_what_causes_it():
    agreed = Agreement(overlap=0.97, spread_deg=0.0, volume_spread_percent=1.0, sureness=0.97)
    assert agreed.doubts == ()
    (unsure,) = replace(agreed, sureness=0.94).doubts
    assert "unsure" in unsure
    assert "disagree" not in unsure
    for apart in (replace(agreed, overlap=0.7), replace(agreed, spread_deg=30.0)):
        (text,) = apart.doubts
        assert "disagree" in text


def test_gates_are_labelled_in_one_batch_each_as_alone():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = NetworkLV(TorchNetwork(LVCompact().eval()), {})
    one = case()
    other = one.image.array[0][::-1]
    gated = one.image.with_array(np.stack([one.image.array[0], other]))
    both = model.segment_gates(gated, one.frame)
    alone = model.segment_gates(one.image.with_array(other), one.frame)
    assert both.array.shape == (2, 35, 35, 35)
    assert (both.array[1] == alone.array[0]).mean() > 0.999


def test_a_wall_is_redrawn_thicker_at_a_low_level_and_thinner_at_a_high_one():
    given = case()
    blurred = given.image.with_array(ndimage.gaussian_filter(given.image.array, (0.0, 1.5, 1.5, 1.5)))
    given = replace(given, image=blurred)
    low, high = redraw_wall(given, 0.3), redraw_wall(given, 1.1)
    sizes = [one.labels.label_ml(1) for one in (low, given, high)]
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]
    assert (low.patient, low.name) == ("A", "A-1, level 0.30")
    assert low.labels.label_ml(2) > 0


def test_cases_are_written_and_read_and_split_by_patient(tmp_path):
    cases = [case("A", "A-1"), case("A", "A-2"), case("B", "B-1"), case("C", "C-1")]
    write_cases(tmp_path / "cases.npz", cases)
    back = read_cases(tmp_path / "cases.npz")
    assert [c.name for c in back] == [c.name for c in cases]
    assert np.array_equal(back[1].labels.array, cases[1].labels.array)
    assert np.allclose(back[2].frame.apex_mm, cases[2].frame.apex_mm)
    dealt = folds(cases, 2, 0)
    assert sorted(p for group in dealt for p in group) == ["A", "B", "C"]
    with pytest.raises(InputError, match=r"index\.csv"):
        read_real(tmp_path)


def test_losses():
    assert float(wrap_angle(torch.tensor(2 * math.pi - 0.1))) == pytest.approx(-0.1, abs=1e-5)
    near, far = torch.tensor([math.pi - 0.1]), torch.tensor([-math.pi + 0.1])
    assert float(rotation_loss(near, far)) == pytest.approx(0.2, abs=1e-5)
    labels = torch.tensor([[[[0, 1, 2, 2]]]])
    perfect = torch.nn.functional.one_hot(labels, 3).permute(0, 4, 1, 2, 3).float()
    assert float(segmentation_loss(perfect, labels)) == pytest.approx(0, abs=1e-5)
    assert float(segmentation_loss(perfect[:, [1, 2, 0]], labels)) == pytest.approx(5, abs=1e-3)
    half = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert float(dice_loss(half, torch.tensor([[1, 0, 0, 0]]))) == pytest.approx(1 - 2 / 3, abs=1e-4)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_hd95_is_monais():
    monai = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(1)
    for _ in range(4):
        a, b = (ndimage.gaussian_filter(rng.normal(size=(17, 18, 19)), 2) > 0.05 for _ in range(2))
        theirs = monai.compute_hausdorff_distance(
            torch.from_numpy(a)[None, None],
            torch.from_numpy(b)[None, None],
            include_background=True,
            percentile=95,
            spacing=[2.0, 3.0, 4.0],
        )
        assert hausdorff95_mm(a, b, (2, 3, 4)) == pytest.approx(float(theirs), rel=1e-6)


def test_metrics_of_known_masks():
    a, b = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    a[4, 4, 4], b[4, 4, 6] = True, True
    assert hausdorff95_mm(a, b, (1, 1, 3)) == pytest.approx(6.0)
    assert dice(a, b) == 0
    assert dice(a, a) == 1
    with pytest.raises(AnalysisError, match="empty"):
        hausdorff95_mm(a, np.zeros_like(a), 1)
    with pytest.raises(InputError, match="one 3D shape"):
        dice(a, b[:3])
