"""Operations on finished runs: find, publish and compare them.

find          the runs of a results folder, and the run that a RUN argument names
baselines     the baseline of a run, and the reason for it
pins          pinned baselines
publish       judge a run, and write verdict.json and the reports
compare       compare pairs of runs
comparison_reports
              the folder and the reports of a comparison
verdict_file  read and write verdict.json
trend         the runs of a plan over time
check_log     a server's log, judged without a run
"""
