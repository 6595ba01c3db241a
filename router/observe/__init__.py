"""What the gateway tells of itself: one record a request; from it a log line, metrics, a span."""
