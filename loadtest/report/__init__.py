"""Reports on a judged run: tables, and one output format for each kind of reader. Nothing is judged here.

judged_run  a run with its data and verdict: the input of every report
tables      tables of items, errors, percentiles, outages, storms, the server's log, plan and versions
losses, storms, drill_table, watched
            tables of their own: losses, storms, drills, and connections left to the server to close
advice      what a verdict means, and what to do next
charts      chart geometry and the charts
dialect_findings, dialect_check
            a checked dialect, which is no run: what was found, and the output
terminal, markdown, html, junit
            one output format each, made from the same tables
"""
