"""Drops: connections that are ended on purpose, in the ways in which real clients lose theirs.

    kinds  what each kind of drop does to the wire
    plan   the seeded plan of who is dropped when, storms included

Pure: a drop touches the socket only through `Wire`; the plan says when, and the engine carries it out.
"""
