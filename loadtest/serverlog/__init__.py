"""Server logs: read, followed, classified, and matched with the drops made. Pure but for `follow`.

carriers    from bytes to lines and JSON objects
formats     text formats; payloads: JSON records; times: their timestamps
assembly    records of several lines; tracebacks: what stands in them
records     a record: time, level, logger, text, session
log_reader  all of these together: from a file to records
rules       what a record means (rules.toml)
follow      a file or a command, followed while a run goes
extract     what a run keeps of its server's log
matching    which record tells of which drop
"""
