"""Report pictures painted from simulated patients, in the public set's layout and in two others."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.research.screenshots.colour_scales import SCALES, colours_of
from myoperf.research.slice_stacks import resize_stack, stacks_from_volumes


@dataclass(frozen=True)
class Layout:
    """groups: (view, number of row pairs); tops: top of each pair; gap: pixels between blocks."""

    size: tuple[int, int]
    block: int
    gap: int
    left: int
    columns: int
    groups: tuple[tuple[str, int], ...]
    tops: tuple[int, ...]
    scale: str
    number_corner: str = "top"
    bar: bool = False


LAYOUTS = {
    "public": Layout((976, 897), 90, 0, 69, 10, (("sa", 2), ("hla", 1), ("vla", 1)), (50, 230, 483, 707), "ge"),
    "wide": Layout((1024, 560), 72, 6, 40, 11, (("sa", 1), ("vla", 1), ("hla", 1)), (40, 215, 390), "hot", bar=True),
    "large": Layout(
        (940, 1100), 110, 3, 20, 8, (("sa", 2), ("hla", 1), ("vla", 1)), (30, 260, 520, 770), "cool", "bottom"
    ),
}


@cache
def patient_stacks(seed):
    """16 slices a state and view, 64 x 64, of a simulated patient."""
    rng = np.random.default_rng([97, seed])
    patient = draw_patient(rng)
    scans = {}
    for state in ("stress", "rest"):
        volume, labels, frame = simulate_fast(patient, rng, state=state)
        scans[state] = (volume, frame, labels)
    return stacks_from_volumes(scans, shape=(32, 64, 64))


def render(layout, stacks, *, shift=(0, 0)):
    """Give (RGB array, {(view, state): slices painted})."""
    image = Image.new("RGB", layout.size)
    draw = ImageDraw.Draw(image)
    painted, pair = {}, 0
    for view, pairs in layout.groups:
        wanted = pairs * layout.columns
        for offset, state in enumerate(("stress", "rest")):
            slices = resize_stack(stacks.state(state, view), (wanted, layout.block, layout.block))
            painted[view, state] = slices
            for i, block in enumerate(slices):
                line, column = divmod(i, layout.columns)
                top = layout.tops[pair + line] + offset * (layout.block + layout.gap) + shift[1]
                left = layout.left + column * (layout.block + layout.gap) + shift[0]
                image.paste(Image.fromarray(colours_of(block, SCALES[layout.scale])), (left, top))
                y = top + 2 if layout.number_corner == "top" else top + layout.block - 13
                draw.text((left + 2, y), str(i + 1), fill=(255, 255, 255))
        draw.text((5, layout.tops[pair] + shift[1]), view.upper(), fill=(200, 200, 200))
        pair += pairs
    draw.text((layout.size[0] // 3, 4), "MYOCARDIAL PERFUSION stress / rest", fill=(255, 255, 0))
    if layout.bar:
        ramp = colours_of(np.linspace(1, 0, 300)[:, None].repeat(18, axis=1), SCALES[layout.scale])
        image.paste(Image.fromarray(ramp), (layout.size[0] - 30, 60))
    return np.asarray(image), painted


def read_as_painted(page, layout, painted):
    """Correlate the stacks of a page with its painted slices, cut where the reader found the blocks: one a stack."""
    canvas, pair = np.zeros(layout.size[::-1], np.float32), 0
    for view, pairs in layout.groups:
        for offset, state in enumerate(("stress", "rest")):
            for i, block in enumerate(painted[view, state]):
                line, column = divmod(i, layout.columns)
                top = layout.tops[pair + line] + offset * (layout.block + layout.gap)
                left = layout.left + column * (layout.block + layout.gap)
                canvas[top : top + layout.block, left : left + layout.block] = block
        pair += pairs
    size, out = round(page.grid.pitch), []
    for view in ("sa", "hla", "vla"):
        for offset, state in enumerate(("stress", "rest")):
            tops = [top for i, top in enumerate(page.grid.rows) if page.grid.views[i] == view and i % 2 == offset]
            places = [(max(0, round(top)), max(0, round(left))) for top in tops for left in page.grid.columns]
            cut = [np.zeros((size, size), np.float32) for _ in places]
            for into, (top, left) in zip(cut, places, strict=True):
                part = canvas[top : top + size, left : left + size]
                into[: part.shape[0], : part.shape[1]] = part
            slices = np.stack(cut)[: page.slices[view, state]]
            shape = page.stacks.state(state, view).shape
            expected = resize_stack(slices / max(np.percentile(slices, 99.5), 1e-9), shape).clip(0, 1)
            out.append(float(np.corrcoef(expected.ravel(), page.stacks.state(state, view).ravel())[0, 1]))
    return out
