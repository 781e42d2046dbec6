"""A locustfile from a recording: a HAR file's WebSocket messages become a dialect and a script.

    har_file, har_secrets    read the connections and messages of the file, or refuse it with the reason
    recorded                 Recording, Connection, Frame
    redaction                finds tokens, passwords and addresses, and keeps them out of all output
    message_forms, form_detection
                             formats of messages: JSON, MessagePack, packets, frames, words
    trees, message_kinds, message_ids, heartbeats, conversation_opening, reply_roles, own_texts, told_values,
    inference, inferred      what the messages mean, with the evidence for each guess

    known_protocols          recognises common protocols
    helper_sources, python_source, id_source, message_source, read_patterns, read_source, script_source,
    locustfile_source        the locustfile; every text of the recording becomes a literal, never code
    replay                   replays the recording through the generated dialect
    conversion               all steps, for `loadtest dialect from`

The recording is untrusted: its size, depth and number of messages are bounded.
"""
