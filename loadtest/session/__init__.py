"""Sessions: what one client does over all its connections. Pure: time, randomness and bytes come in.

machine       the state machine: one table, one door for all events
reconnecting  attempts, outages and the backoff policy at work
traffic       requests, replies and pushes on a connection
ledger        every message across reconnects, with its one outcome
schedule      when messages fall due and how long to wait before an attempt
recorder      what a process records between two intervals
"""
