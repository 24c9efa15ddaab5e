"""Does an exported model say what torch says? Numbers, rankings, tolerances."""
