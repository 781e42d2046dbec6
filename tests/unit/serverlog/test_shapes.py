"""Records that say the same, as one with a count."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog import shapes
from loadtest.serverlog.shapes import SHAPE_LENGTH, Shapes, shape_of
from tests.support.effort import effort


@pytest.mark.parametrize(
    "alike",
    [
        (
            "Send error (session 1a2b3c4d-0000-4000-8000-0123456789ab) -> cleanup: ",
            "Send error (session 7) -> cleanup: ",
        ),
        ("GET /ws/abc-1?thread_id=xyz failed", "GET /ws/def-22?thread_id=u failed"),
        ("connect to 10.0.0.1:5432 timed out after 3 s", "connect to 10.20.30.40:6 timed out after 3.25 s"),
        ("no route to [fe80::1ff:fe23]", "no route to [::1]"),
        ("user 'Ann Lee' is unknown", "user 'Bo' is unknown"),
        ('cannot read "a b": eof', 'cannot read "c": eof'),
        ("<Task at 0x7f3a10> was lost", "<Task at 0x00ffee> was lost"),
        ("bad nonce deadbeefcafe", "bad nonce 0123456789ab"),
        ("rejected (session=ann, code=1)", "rejected (session=bob, code=2)"),
        ("user_id=ann threadId=x id=y left", "user_id=bob threadId=z id=w left"),
        ("returned 12 rows", "returned 12345 rows"),
        ("KeyError: 'a1'", "KeyError: 'b2'"),
        ("ids [1, 2, 3] are gone", "ids [4] are gone"),
    ],
)
def test_what_varies_makes_no_shape(alike: tuple[str, str]) -> None:
    """Numbers, ids, hex, quoted values, addresses, and the variable parts of paths are left out."""
    one, other = map(shape_of, alike)
    assert one == other


@pytest.mark.parametrize(
    "unlike",
    [
        ("KeyError: 'thread'", "KeyError: 'user'"),
        ("H2Error: stream 3 reset", "S3Error: stream 3 reset"),
        ("sqlite3.OperationalError: database is locked", "psycopg2.OperationalError: database is locked"),
        ("[Errno 111] Connection refused", "[Errno 104] Connection reset by peer"),
        ("Can't do it, won't", "Can't do it, don't"),
        ("std::string is bad", "std::vector is bad"),
        ("valid=yes", "valid=no"),
        ("invalid=ann", "invalid=bob"),
        ("is_paid=true", "is_paid=false"),
        ("upstream returned 502", "upstream returned 401."),
        ("closed (code=1006)", "closed (code=1011)"),
        ("close code 1006", "close code 1011"),
        ("status code 502 from auth", "status code 401 from auth"),
        ('{"status": 502}', '{"status": 401}'),
        ("HTTP/1.1 502 Bad", "HTTP/1.1 500 Bad"),
    ],
)
def test_what_tells_faults_apart_is_kept(unlike: tuple[str, str]) -> None:
    """Names of exceptions, names of the code that they quote, and plain words stay."""
    one, other = map(shape_of, unlike)
    assert one != other


def test_the_session_is_left_out_whatever_it_looks_like() -> None:
    """Ids that are words are known from the record."""
    assert shape_of("ann left: gone", ["ann"]) == shape_of("robert left: gone", ["robert"])
    assert shape_of("a left", ["a"]) != shape_of("b left", ["b"])  # too short to be searched for
    assert shape_of("ann cannot go", ["ann"]) == shape_of("bob cannot go", ["bob"])  # whole words only
    assert shape_of("ann-x 7 left", ["ann", "ann-x"]) == shape_of("bob-y 7 left", ["bob", "bob-y"])


def test_a_cut_in_the_text_makes_no_shape() -> None:
    """Texts are cut where their ids end up to be; the shape ends before."""
    texts = [f"session={'x' * size} " + "word " * 60 for size in (3, 40)]
    one, other = (shape_of(f"{text[:197]}...") for text in texts)
    assert one == other


@given(st.text(alphabet=string.printable, max_size=400), st.text(max_size=10))
@effort(300)
def test_any_text_has_a_bounded_shape(text: str, session: str) -> None:
    """No text raises, and no shape is longer than a line."""
    assert len(shape_of(text, [session])) <= SHAPE_LENGTH


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=5))
@effort(100)
def test_numbers_never_make_a_shape(numbers: list[int]) -> None:
    """However many digits, the shape is that of a single digit."""
    text = " and ".join(f"item {number} failed" for number in numbers)
    assert shape_of(text) == shape_of(" and ".join("item 1 failed" for _ in numbers))


def test_groups_are_ordered_by_count() -> None:
    """The most frequent comes first; of equals, the one that came first."""
    groups = Shapes[str]()
    for shape in "abbcca":
        groups.add(shape, f"first {shape}")
    groups.add("c", "another c")
    assert [(group.first, group.count) for group in groups.by_count()] == [
        ("first c", 3),
        ("first a", 2),
        ("first b", 2),
    ]


def test_the_first_is_the_earliest() -> None:
    """Also in a log with its newest record first; a record without a time never replaces one."""
    groups = Shapes[str]()
    for name, at_ns in (("untimed", None), ("late", 30), ("early", 10), ("middle", 20), ("lost", None)):
        groups.add("shape", name, at_ns)
    (group,) = groups.by_count()
    assert (group.first, group.at_ns, group.count) == ("early", 10, 5)


def test_too_many_shapes_forget_the_rare_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape that recurs is counted to the end, whatever number of unlike records surrounds it."""
    monkeypatch.setattr(shapes, "MAX_SHAPES", 10)
    groups = Shapes[int]()
    for number in range(1_000):
        groups.add(number, number)
        groups.add("again", number)
    most = groups.by_count()[0]
    assert (most.first, most.count) == (0, 1_000)
    assert len(groups) <= 10
    assert groups.forgotten >= 900
