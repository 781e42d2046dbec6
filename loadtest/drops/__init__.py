"""Drops: connections disturbed or ended on purpose, in the ways in which real clients lose theirs.

    kinds  what each kind of drop does to the connection
    plan   the seeded plan: which session is dropped when, storms included
    drills commands that the run executes meanwhile, so that the server ends connections

Pure: a drop touches the socket only through `Wire`; the plan says when, and the engine carries it out.
"""
