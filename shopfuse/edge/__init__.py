"""The edge: Envoy, configured by one file of settings, and an Envoy on this machine. No proxy of our own."""
