"""From files of a shop to the workspace's tables: readers, mappings, checked rows, merged and committed whole."""
