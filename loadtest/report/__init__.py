"""What draws a judged run: tables first, then a file for each kind of reader. Nothing is decided here.

judged_run  a run that was read and judged: what every report is drawn from
tables      rows: items, errors, percentiles, outages, storms, the server's log, plan and versions
advice      what a verdict means, and what to do next
charts      chart geometry and the charts
terminal, markdown, html, junit
            one form each, drawn from the same tables
"""
