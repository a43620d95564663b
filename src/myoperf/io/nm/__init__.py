"""Nuclear Medicine (NM) DICOM, read and written."""
