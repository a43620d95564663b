"""What the published systems did, one folder a topic: its networks, data, training and tables."""
