"""What people read: a run is read from its files, judged, and told in every form.

    publish      reads, judges, and writes verdict.json, summary.md, junit.xml and report.html
    terminal     the table at the end of a run
    progress     the line while it goes
    markdown, junit, html
                 one file each, drawn from the same tables
    tables, storms, details, advice, charts, provenance
                 what is told: rows, lines, what to do next, charts, where the run came from
    server_log   the server's log, judged from a run's files, or given to a run when it is over
    comparing, listing, trending
                 runs beside each other, all runs in a row, those of one plan over time
    baselines, pinning
                 which run another is compared with and why, and choosing one to stay
    text, figures, geometry
                 foreign text made harmless, numbers written, charts placed

Nothing is measured or decided here; everything comes from a run directory and `loadtest.verdict`.
"""
