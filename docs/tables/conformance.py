"""What the page on DICOM conformance lists: the attributes that the package's readers name, found in their source."""

import ast
from collections import defaultdict
from pathlib import Path

from pydicom.datadict import dictionary_description, dictionary_VR, keyword_dict
from pydicom.pixels import get_decoder
from pydicom.uid import AllTransferSyntaxes

from tables.layout import markdown

READERS = Path(__file__).parents[2] / "src" / "myoperf" / "io"
NOT_READERS = {"writer.py", "simulated_header.py"}


def attributes_read() -> dict[str, set[str]]:
    """Return the keyword of every attribute that a module of `myoperf.io` names -> those modules."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(READERS.rglob("*.py")):
        if path.name in NOT_READERS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            named = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
            if isinstance(named, str) and named in keyword_dict and id(node) not in docstrings:
                found[named].add(".".join(path.relative_to(READERS).with_suffix("").parts))
    return found


def attributes() -> str:
    """Return the table of attributes, in the order of their tags."""
    found = attributes_read()
    rows = [
        (
            f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
            dictionary_description(tag),
            dictionary_VR(tag),
            ", ".join(f"`{module}`" for module in sorted(found[keyword])),
        )
        for tag, keyword in sorted((keyword_dict[keyword], keyword) for keyword in found)
        if dictionary_description(tag)
    ]
    return markdown(("tag", "attribute", "VR", "read by (in `myoperf.io`)"), rows)


def transfer_syntaxes() -> str:
    """Return the table of the transfer syntaxes whose pixels can be decoded with the dependencies of the package."""
    rows = []
    for syntax in AllTransferSyntaxes:
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError:
            continue
        if decoder.is_available:
            rows.append((syntax.name, syntax))
    return markdown(("transfer syntax", "UID"), rows)
