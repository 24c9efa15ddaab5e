"""A catalogue through its encoder: planned, cached, killed and resumed, shared out, merged."""
