"""Drops: connections that are ended on purpose, in the ways in which real clients lose theirs.

    kinds    what each kind of drop does to the wire
    storms   a share of all sessions, dropped at one moment
    plan     the seeded plan of who is dropped when

Pure: what is done to a socket is done through `Wire`, and when is said by the plan and carried out by the
engine.
"""
