"""What can be seen of a gateway: metrics, the trace of a request, impressions."""
