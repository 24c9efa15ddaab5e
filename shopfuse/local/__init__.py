"""One workspace served on this machine: Triton and gateway as processes, where they answer, and a client."""
