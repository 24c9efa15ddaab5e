"""From torch modules and a catalogue to a release: exported, verified, encoded, indexed. Trains and serves nothing."""
