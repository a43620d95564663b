"""Whether a scan was made under stress or at rest, according to the file.

Order of trust: the coded acquisition context, then Image ID, series, protocol and procedure
descriptions, and last the study's description. A text that names both states, or neither, decides
nothing; an unknown state stays unknown. `myoperf.io.state_words` holds the words.
"""

from functools import partial

from pydicom.dataset import Dataset

from myoperf.io.header import items, text_of
from myoperf.io.state_words import state_in_text
from myoperf.io.tracers import nuclide_of
from myoperf.types import Finding, State

_CODES: dict[str, State] = {
    # DICOM PS3.16 CID 3101-3102 and the patient states of CID 10045: SNOMED CT, SRT and DCM forms.
    **dict.fromkeys(("432655005", "F-05019", "109091"), "stress"),  # cardiac stress state
    **dict.fromkeys(("434161005", "F-05028", "109095"), "stress"),  # peak stress state
    **dict.fromkeys(("128976003", "F-01606"), "stress"),  # exercise state
    **dict.fromkeys(("128975004", "F-01604"), "rest"),  # resting state
    **dict.fromkeys(("128974000", "F-01602"), "rest"),  # baseline state
    **dict.fromkeys(("109092", "109093", "109094"), "rest"),  # reinjection, redistribution, delayed redistribution
}
_SERIES_TEXTS = (
    "ImageID",
    "SeriesDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
)


def detect_state(dataset: Dataset) -> tuple[State | None, tuple[Finding, ...]]:
    """Return a scan's state and findings about how it was determined.

    Returns
    -------
    (state or None, findings): ``state-conflict`` where code and text disagree (the code is used),
    ``state-from-study`` where only the study's description names the state. ``state-unknown`` is left
    to the caller, since the user may have named it.
    """
    coded = _coded_state(dataset)
    named = partial(state_in_text, thallium=nuclide_of(dataset) == "Tl-201")
    written = next((s for s in (named(text_of(dataset, k)) for k in _SERIES_TEXTS) if s), None)
    if coded is not None:
        if written is not None and written != coded:
            message = f"The acquisition context says {coded}, the series' description {written}; {coded} was used."
            return coded, (Finding("state-conflict", "warning", message),)
        return coded, ()
    if written is not None:
        return written, ()
    codes = items(dataset, "ProcedureCodeSequence")
    texts = [text_of(dataset, "StudyDescription"), *(text_of(code, "CodeMeaning") for code in codes)]
    broad = next((s for s in map(named, texts) if s), None)
    if broad is None:
        return None, ()
    message = f"Only the study's description names the state ({broad}); please check it."
    return broad, (Finding("state-from-study", "warning", message),)


def _coded_state(dataset: Dataset) -> State | None:
    """Return the state coded in Acquisition Context Sequence (0040,0555), as Patient State (DCM 109054) or similar."""
    for item in items(dataset, "AcquisitionContextSequence"):
        for code in items(item, "ConceptCodeSequence"):
            state = _CODES.get(text_of(code, "CodeValue"))
            if state is not None:
                return state
    return None
