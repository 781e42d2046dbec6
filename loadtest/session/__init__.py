"""Sessions: one client over all its connections. Pure: time, randomness and bytes are passed in.

machine       the state machine: one table, one entry point for all events
reconnecting  connection attempts, outages and the backoff policy
traffic       requests and replies on a connection
size_classes  round trips by text size, where sizes vary
pushes        what the server sends on its own, checked connection by connection
ledger        every request across reconnects, with exactly one outcome
history       what the server restores after a resume, compared with the ledger
schedule      when messages are due and how long to wait before an attempt
recorder      what a process records in one interval
"""
