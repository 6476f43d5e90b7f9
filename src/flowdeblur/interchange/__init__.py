"""Weights from and for other programs: Caffe models in, ONNX and torch.export programs out."""
