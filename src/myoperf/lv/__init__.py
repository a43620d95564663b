"""Finding, turning and segmenting the left ventricle."""
