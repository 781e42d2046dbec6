"""A run under way, for those who look at it: nothing here reads a file or decides a verdict.

live_run          counts, gauges and the last seconds; with details also the modules below
live_histograms   distributions since the start
live_outages      outages by what began them
live_errors       errors with their first occurrence
verdict_so_far    what the verdict's rules say of a run that goes on
latest_run        the run that is shown
series            the table of time series
prometheus_page   the table as Prometheus reads it
otel_instruments  the table as OpenTelemetry reads it
buckets           distributions as cumulative buckets
bounded_names     names from outside as labels
"""
