"""Server logs: read, followed during a run, classified, and matched with drops.

Only `follow` and the sources it follows, `log_reader.read`, `compressed` and `rules.load_rules` do I/O.

carriers    bytes to lines and JSON objects
formats     text formats
payloads    JSON records
times       timestamps of both
assembly    records that span several lines
tracebacks  the lines under a record's head
records     a record: time, level, logger, text, session
log_reader  all of these together: from a file to records
compressed  files that are compressed
rules       what a record means (rules.toml)
rule_bounds limits of a user's file of rules
patterns    how the texts of rules are found
raised      the exceptions that a record names
shapes      records that say the same, as one with a count
follow      follows a log during a run, from these sources:
growing_file    a file, with `rotations`: the files that rotation sets aside
command_output  a command's output
extract     what a run keeps of its server's log
matching    which drop caused which record
"""
