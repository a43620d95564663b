"""What a reader made of a report: words, scores, signature, as the report's own pages and DICOM objects show them."""

from dataclasses import dataclass

from myoperf.types import Scores


@dataclass(frozen=True, kw_only=True)
class ReaderPart:
    """A reader's part of a report.

    Parameters
    ----------
    reader
        Who changed it last, or signed it.
    signed_at
        Date and time of the signature (UTC); empty while it is not signed.
    impression
        The reader's words; empty where the machine's stand.
    stress_scores, rest_scores
        Scores of the 17 segments, 0 to 4; None where the machine's stand.
    addenda
        Each with its date and reader.
    """

    reader: str
    signed_at: str = ""
    impression: str = ""
    stress_scores: tuple[int, ...] | None = None
    rest_scores: tuple[int, ...] | None = None
    addenda: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        """Who signed, and when; or that nobody did."""
        return f"Signed by {self.reader}, {self.signed_at} UTC" if self.signed_at else f"{self.reader}, not signed"

    def sums(self, machine: Scores) -> str:
        """Return the reader's summed scores, the machine's for a state that was left to it; empty if all were.

        Without SDS where the machine did not compare stress and rest: they may not show one heart.

        Examples
        --------
        >>> machine = Scores(stress_scores=(0,) * 17, rest_scores=(1,) + (0,) * 16, sds=0)
        >>> ReaderPart(reader="Dr Ada", stress_scores=(2,) + (0,) * 16).sums(machine)
        'SSS 2, SRS 1, SDS 1'
        """
        if self.stress_scores is None and self.rest_scores is None:
            return ""
        stress = self.stress_scores if self.stress_scores is not None else machine.stress_scores
        rest = self.rest_scores if self.rest_scores is not None else machine.rest_scores
        parts = [f"{name} {sum(scores)}" for name, scores in (("SSS", stress), ("SRS", rest)) if scores is not None]
        if stress is not None and rest is not None and machine.sds is not None:
            parts.append(f"SDS {sum(max(a - b, 0) for a, b in zip(stress, rest, strict=True))}")
        return ", ".join(parts)
