"""Each count has words."""

from loadtest.session.count_words import COUNT_WORDS, count_words
from loadtest.session.recorder import COUNTS
from loadtest.verdict.connect import ID_OF_ANOTHER


def test_each_count_has_words() -> None:
    """Those of the recorder and those that a verdict adds; no words without a count."""
    assert COUNT_WORDS.keys() == COUNTS.keys() | {f"connect.{ID_OF_ANOTHER}"}


def test_words_are_no_names() -> None:
    """Short, in one line, without the marks of an identifier; those of an item tell its counts apart."""
    for name, words in COUNT_WORDS.items():
        assert words.isprintable()
        assert not set("_.=") & set(words), name
        assert 3 <= len(words) <= 50, name
    said = [(name.partition(".")[0], words) for name, words in COUNT_WORDS.items()]
    assert len(set(said)) == len(said)


def test_a_count_of_another_version_has_the_words_of_its_name() -> None:
    """A verdict.json may come from a newer version."""
    assert count_words("messaging", "gone_astray") == "gone astray"
    assert count_words("messaging", "broken_off") == "with a reply that broke off"
