"""Image networks with ImageNet weights, shared by the topics."""
