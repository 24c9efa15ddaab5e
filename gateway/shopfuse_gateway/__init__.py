"""The gRPC server that answers searches and recommendations from one release. No torch, no transformers, no polars."""
