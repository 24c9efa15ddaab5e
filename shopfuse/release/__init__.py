"""A release on disk: its manifest, its files, its verification. Read by the gateway, written by the exporters."""
