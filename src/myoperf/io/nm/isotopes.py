"""Files of two radionuclides at once: each energy window with a photopeak is a scan of its own."""

from pydicom.dataset import Dataset

from myoperf.dicom import code_item
from myoperf.io.header import copied_header, items, numbers, text_of
from myoperf.io.nm.frames import window_holds
from myoperf.io.quirks import nuclide_from_window_name
from myoperf.io.tracers import NUCLIDES, nuclide_of


def isotope_headers(header: Dataset) -> tuple[Dataset, ...]:
    """Return a header for each radionuclide of a file, naming that one alone; the header itself where there is one.

    A radionuclide counts where Radiopharmaceutical Information Sequence or the name of an energy window names it, and a
    window of the file's frames holds its photopeak. Windows of scatter make no scan.
    """
    used = {int(window) for window in numbers(header, "EnergyWindowVector")}
    if len(used) < 2:
        return (header,)
    agents = _agents(header)
    windows = items(header, "EnergyWindowInformationSequence")
    named = [nuclide_from_window_name((text_of(window, "EnergyWindowName"),)) for window in windows]
    nuclides = dict.fromkeys((*agents, *(nuclide for nuclide in named if nuclide)))
    present = [nuclide for nuclide in nuclides if any(window_holds(header, w, nuclide) for w in used)]
    if len(present) < 2:
        return (header,)
    return tuple(_of_one(header, nuclide, agents.get(nuclide)) for nuclide in present)


def _agents(header: Dataset) -> dict[str, Dataset]:
    """Return the radiopharmaceuticals' items by radionuclide."""
    found: dict[str, Dataset] = {}
    for item in items(header, "RadiopharmaceuticalInformationSequence"):
        alone = Dataset()
        alone.RadiopharmaceuticalInformationSequence = [item]
        nuclide = nuclide_of(alone)
        if nuclide:
            found.setdefault(nuclide, item)
    return found


def _of_one(header: Dataset, nuclide: str, agent: Dataset | None) -> Dataset:
    """Return a copy of a header with one radiopharmaceutical."""
    if agent is None:
        agent = Dataset()
        agent.RadionuclideCodeSequence = [code_item(NUCLIDES[nuclide].codes[0], "SCT", NUCLIDES[nuclide].meaning)]
    alone = copied_header(header)
    alone.RadiopharmaceuticalInformationSequence = [agent]
    return alone
