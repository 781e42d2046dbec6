"""Reports on a judged run: tables, and one output format for each kind of reader. Nothing is judged here.

judged_run  a run with its data and verdict: the input of every report
tables      tables of items, errors, percentiles, outages, storms, the server's log, plan and versions
losses, storms, drill_table, watched
            further tables: losses, storms, drills, and connections that the server had to close
advice      what a verdict means, and what to do next
heat_map, timeline, gauge_rows, percentile_curve, outage_phases
            a run over time, its latency and outages, reduced to what a chart can show
chart       charts as data; chart_scales and chart_svg place and draw them
timeline_charts, run_charts, outage_charts
            the charts of a run
page        pages: style, script, content security policy; html is report.html
key_figures, message_table, run_files
            parts of report.html only: headline, key figures, the ledger, links to files
judged_comparison, pair_sums
            a comparison with its verdict, and the data that its charts draw: the input of reports on it
forest, forest_charts, comparison_charts, comparison_tables
            its charts and tables: the gates' changes, both revisions over each other, items before and after
comparison_page, comparison_markdown, comparison_junit
            one output format each
dialect_findings, dialect_check
            a checked dialect (not a run): its findings, and the output
progress_line, live_view, tab_state
            a run under way: the line in pipes and CI, the view on a terminal, the tab of the web page
terminal, markdown, html, junit
            one output format each, made from the same tables
"""
