"""The catalogue that the simulated shop shows: wording, images, rows."""
