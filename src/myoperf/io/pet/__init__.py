"""PET DICOM slices, read and written."""
