"""Networks: one whole network a file, tensors in and out."""
