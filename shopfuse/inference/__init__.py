"""Models of a release run in this process by onnxruntime, for measuring and verifying."""
