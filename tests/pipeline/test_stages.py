"""How the stages run on the scans of a study."""

from threading import Barrier

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from myoperf.errors import AnalysisError
from myoperf.pipeline import Models, Options, analyze
from myoperf.pipeline.analyze import attempt_all
from myoperf.types import Scan, Study, Volume


def test_scans_are_worked_on_at_once(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = Barrier(2, timeout=20)

    def meet(name, number):
        both.wait()
        return f"{name} {number}"

    done, failed = attempt_all(meet, {"stress": 1, "rest": 2})
    assert list(done.items()) == [("stress", "stress 1"), ("rest", "rest 2")]
    assert failed == {}


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_scan_that_fails_is_named_and_the_others_go_on(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)

    def halve(name, number):
        if number % 2:
            raise AnalysisError(f"{number} is odd.")
        return number // 2

    done, failed = attempt_all(halve, {"a": 3, "b": 4, "c": 5, "d": 8})
    assert list(done.items()) == [("b", 2), ("d", 4)]
    assert {name: str(error) for name, error in failed.items()} == {"a": "3 is odd.", "c": "5 is odd."}


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        attempt_all(lambda name, number: 1 // number, {"a": 1, "b": 0})


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_matrix_products_stay_in_the_thread_that_asks_for_them():
    """Threads of a BLAS library that wait for each other double the processor time of an analysis."""
    within = []

    def find(volume):
        within.append(blas_threads())
        raise AnalysisError("No left ventricle was found.")

    study = Study((Scan(Volume(np.ones((1, 4, 5, 6), dtype=np.float32), np.eye(4)), state="rest"),))
    with threadpool_limits(limits=2, user_api="blas"):
        with pytest.raises(AnalysisError, match="No left ventricle"):
            analyze(study, Models(find_lv=find, limits=()), Options())
        assert blas_threads() == {2}
    assert within == [{1}]
