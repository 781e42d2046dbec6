"""The data of a run in progress, for live views. Nothing here reads a file or decides a verdict.

live_run          counts, gauges and the last seconds; with details also the modules below
live_histograms   distributions since the start
live_outages      outages by cause
live_errors       errors with their first occurrence
verdict_so_far    the verdict's rules applied to the data so far
latest_run        the run that is shown
series            the table of time series
prometheus_page   the table in Prometheus's format
otel_instruments  the table as OpenTelemetry instruments
buckets           distributions as cumulative buckets
bounded_names     external names as labels
"""
