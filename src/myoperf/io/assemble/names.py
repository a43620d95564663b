"""What the studies in a folder are called: by the folder or the file that each was read from."""

import re
from collections import Counter
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path


def names_of_studies(files: Sequence[Sequence[Path]], given: Sequence[Path]) -> list[str]:
    """Return a name for every study, all different and safe as names of folders.

    The name is the first folder below the given path that holds no other study, longer where it takes several to tell
    them apart ("ward-a-patient-1"); a file's own name, or the given folder's, where there is none.

    Parameters
    ----------
    files
        The files of each study.
    given
        The files and folders that the user gave.

    Examples
    --------
    Of ``in/one/dicom/1.dcm`` and ``in/two/dicom/1.dcm``, each of a study of its own in the given folder ``in``, the
    names are ``one`` and ``two``.
    """
    parts = [_parts(paths, given) for paths in files]
    names = []
    for mine in parts:
        others = [other for other in parts if other is not mine]
        length = next((n for n in range(1, len(mine)) if not any(o[:n] == mine[:n] for o in others)), len(mine))
        names.append(safe_name("-".join(mine[:length])))
    repeated = Counter(names)
    counted: Counter[str] = Counter()
    for i, name in enumerate(names):
        if repeated[name] > 1:
            counted[name] += 1
            names[i] = name if counted[name] == 1 else f"{name}-{counted[name]}"
    return names


def safe_name(text: str) -> str:
    """Return a text as a name that is safe on every disk: letters, digits, dots, hyphens and underscores."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._- ")[:100] or "study"


def _parts(paths: Sequence[Path], given: Sequence[Path]) -> list[str]:
    """Return the folders from the given path down to a study's files, and the file's name where there is one file.

    An archive counts as a folder.
    """
    roots = [path for path in given if path in paths[0].parents]
    if not roots:
        return [_stem(paths[0])]
    root = max(roots, key=lambda path: len(path.parts))
    folder = Path(commonpath([path.parent for path in paths]))
    inner = list(folder.relative_to(root).parts) if root in (folder, *folder.parents) else []
    several_given = [_stem(root.absolute())] if len(given) > 1 or not (inner or len(paths) == 1) else []
    return [*several_given, *inner, *([_stem(paths[0])] if len(paths) == 1 else [])]


def _stem(path: Path) -> str:
    """Return a name without the ending of an image or an archive."""
    return re.sub(r"\.(dcm|ima|nii|nii\.gz|img|zip)$", "", path.name, flags=re.IGNORECASE)
