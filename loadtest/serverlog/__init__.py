"""Server logs read, followed, classified and judged; the names that the layers above use."""

from loadtest.serverlog.account import Account, Window, drop_table, judge
from loadtest.serverlog.checks import Selection, check, lines
from loadtest.serverlog.extract import Logged, Reading, extract
from loadtest.serverlog.findings import LogReport
from loadtest.serverlog.follower import Follower, follow, follow_command
from loadtest.serverlog.formats import KNOWN_FORMATS
from loadtest.serverlog.reader import LogReader, read
from loadtest.serverlog.records import Counts, Level, Record
from loadtest.serverlog.rules import LogClass, RuleTable, load_rules
from loadtest.serverlog.sightings import END_OF_RUN, DropMade
from loadtest.serverlog.times import parse_since

__all__ = [
    "END_OF_RUN",
    "KNOWN_FORMATS",
    "Account",
    "Counts",
    "DropMade",
    "Follower",
    "Level",
    "LogClass",
    "LogReader",
    "LogReport",
    "Logged",
    "Reading",
    "Record",
    "RuleTable",
    "Selection",
    "Window",
    "check",
    "drop_table",
    "extract",
    "follow",
    "follow_command",
    "judge",
    "lines",
    "load_rules",
    "parse_since",
    "read",
]
