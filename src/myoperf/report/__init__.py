"""The report: pages, pictures, JSON and DICOM objects."""
