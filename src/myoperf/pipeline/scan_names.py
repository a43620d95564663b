"""What the scans of a study are called: in the report, in its files, in the intervals."""

from collections import Counter
from collections.abc import Sequence

from myoperf.types import Scan

CORRECTED = "-ac"
"""End of the name of a scan corrected for attenuation, beside the one that is not."""


def scan_names(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Return a name for every scan, all different.

    A scan is called by its state; where scans of a state differ in the patient's position or in the correction for
    attenuation, ``-prone`` and ``-ac`` follow; the second of a name ends in ``-2``. One of unknown state is
    ``scan-N``, counted from 1 over all scans.

    Examples
    --------
    >>> import numpy as np
    >>> from myoperf.types import Scan, Volume
    >>> volume = Volume(np.ones((4, 5, 6)), np.eye(4))
    >>> scan_names([Scan(volume, state="stress"), Scan(volume, state="stress", position="prone"), Scan(volume)])
    ('stress', 'stress-prone', 'scan-3')
    """
    names: list[str] = []
    counted: Counter[str] = Counter()
    for number, scan in enumerate(scans, start=1):
        if scan.state is None:
            names.append(f"scan-{number}")
            continue
        same = [other for other in scans if other.state == scan.state]
        name: str = scan.state
        if scan.position == "prone" and any(other.position != "prone" for other in same):
            name += "-prone"
        if scan.attenuation_corrected and not all(other.attenuation_corrected for other in same):
            name += CORRECTED
        counted[name] += 1
        names.append(name if counted[name] == 1 else f"{name}-{counted[name]}")
    return tuple(names)
