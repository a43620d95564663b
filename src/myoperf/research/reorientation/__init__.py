"""MS-ST-UNet (Ni et al.), its ablations and its peers."""
