"""What you can do with runs that were made: find, publish and compare them.

find          the runs of a results folder, and the one that a RUN argument names
baselines     which run another is compared with, and why
pins          pinned baselines
publish       judge a run, and write verdict.json and the reports
compare       compare pairs of runs
comparison_reports
              the folder and the reports of a comparison
verdict_file  verdict.json, read and written
trend         the runs of a plan over time
check_log     a server's log, judged without a run
"""
