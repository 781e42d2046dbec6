"""What people do with runs: find them, publish them, compare them.

find       the runs of a results folder, and which one a person means
baselines  which run another is compared with, and why
pins       baselines that are kept
publish    read, judge, and write verdict.json and the reports
compare    runs beside each other
trend      the runs of a plan over time
check_log  a server's log, judged without a run
"""
