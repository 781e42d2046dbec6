"""Hypothesis strategies for messages to the reference server, with arbitrary text."""

from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


MESSAGES = st.builds(lambda kind, payload: {"type": kind, "payload": payload}, st.text(), JSON)
