"""A locustfile from a recording: a HAR file's WebSocket messages become a dialect and a script.

    har_file, har_secrets    read the file, or refuse it with the reason: connections with their messages
    recorded                 what was read: Recording, Connection, Frame
    redaction                finds tokens, passwords and addresses, and keeps them out of what is written
    message_forms, form_detection
                             how messages are read: JSON, MessagePack, packets, frames, words
    trees, message_kinds, message_ids, heartbeats, conversation_opening, reply_roles, own_texts, told_values,
    inference, inferred      what the messages mean, with the evidence for each guess
    known_protocols          protocols that many speak
    helper_sources, python_source, id_source, message_source, read_patterns, read_source, script_source,
    locustfile_source        the locustfile; every text of the recording is a literal there, never code
    replay                   plays the recording through the dialect that was written
    conversion               all of it, for `loadtest dialect from`

The recording is untrusted: its size, depth and number of messages are bounded.
"""
