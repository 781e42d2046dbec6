"""Drops: connections ended or disturbed on purpose, in the ways real clients lose them.

    kinds  what each kind of drop does to the connection
    plan   the seeded plan: which session is dropped when, including storms
    drills commands that make the server end connections during a run

Pure: a drop touches the socket only through `Wire`. The plan says when, and the engine carries it out.
"""
