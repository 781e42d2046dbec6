"""Server logs: read, followed during a run, classified, and matched with drops.

Only `follow`, `log_reader.read` and `rules.load_rules` do I/O.

carriers    bytes to lines and JSON objects
formats     text formats
payloads    JSON records
times       timestamps of both
assembly    records that span several lines
tracebacks  the lines under a record's head
records     a record: time, level, logger, text, session
log_reader  all of these together: from a file to records
rules       what a record means (rules.toml)
shapes      records that say the same, as one with a count
follow      follows a file or a command during a run
extract     what a run keeps of its server's log
matching    which drop caused which record
"""
