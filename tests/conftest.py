"""What tests of every room share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from support.order import slow_files_first
from support.real import real_folder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, after the order was made random."""
    items[:] = slow_files_first(items)


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of real studies beside the checkout."""
    return real_folder()


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a dataset as a DICOM file and returns its path."""

    def write(dataset: Dataset, name: str = "image.dcm", folder: Path | None = None) -> Path:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = (folder or tmp_path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
