"""Text from files and names of files, shown without harm: in a terminal, on a page, in a table."""

_FORMULA_STARTS = ("=", "+", "-", "@")


def printable(text: str) -> str:
    r"""Return text on one line without anything that a terminal or a page would act on.

    White space becomes single spaces. Control characters, escape codes, marks that change the direction of writing and
    bytes that are no text become their number, such as ``\x1b``.

    Examples
    --------
    >>> printable("Ang\u00e9lique\n\x1b[2J")
    'Angélique \\x1b[2J'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in " ".join(text.split())
    )


def table_cell(value: object) -> object:
    """Return a value for a CSV table; text that a spreadsheet would run as a formula gets an apostrophe before it.

    Numbers, also negative ones, stay as they are. Text with control characters becomes `printable`.

    Examples
    --------
    >>> table_cell("=1+1"), table_cell(-4.5), table_cell("-4.5"), table_cell("patient-1")
    ("'=1+1", -4.5, '-4.5', 'patient-1')
    """
    if isinstance(value, str) and not value.isprintable():
        value = printable(value)
    if not isinstance(value, str) or not value.startswith(_FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
