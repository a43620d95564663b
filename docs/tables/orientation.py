"""Tables of lv.md on wrong orientations: how often they are noticed, and how often nothing is wrong."""

from __future__ import annotations

from myoperf.stats import wilson_interval
from tables.layout import markdown, read

TITLES = {
    "real": "real, CZT camera",
    "independent": "independent hearts (simulated, development)",
    "simulated": "simulated patients, full physics",
}
UNTOUCHED = "as it is"


def _share(hits: int, n: int) -> str:
    ends = wilson_interval(hits, n)
    return f"{hits}/{n} ({100 * ends.lo:.0f}-{100 * ends.hi:.0f} %)"


def noticed() -> str:
    """Return, by orientation and set, how often the numbers were withheld, and how often there was some warning."""
    rows = read("orientation", keep_default_na=False)
    sets = [name for name in TITLES if (rows["set"] == name).any()]
    flags = rows[["refused", "warned"]].astype(str) == "True"
    rows["withheld"], rows["noticed"] = flags["refused"], flags["refused"] | flags["warned"]

    def cells(chosen: str | None) -> list[str]:
        out = []
        for name in sets:
            mine = rows[rows["set"] == name]
            if chosen is None:
                mine = mine[~mine["orientation"].isin([UNTOUCHED, "heart alone"])]
            else:
                mine = mine[mine["orientation"] == chosen]
            if len(mine):
                out += [_share(int(mine[key].sum()), len(mine)) for key in ("withheld", "noticed")]
            else:
                out += ["", ""]
        return out

    wrong = sorted(set(rows["orientation"]) - {UNTOUCHED, "heart alone"}, key=lambda o: (o.count("+"), o))
    head = ["the wrong way round", *(f"{TITLES[name]}: {what}" for name in sets for what in ("withheld", "noticed"))]
    body = [["nothing: the volume as it is", *cells(UNTOUCHED)]]
    body += [[name, *cells(name)] for name in wrong]
    body += [["any of the seven", *cells(None)]]
    if (rows["orientation"] == "heart alone").any():
        body += [["nothing, but all counts outside the heart are 0", *cells("heart alone")]]
    return markdown(head, body)
