"""Calibration of the latency verdict: synthetic runs with known truth, judged like real runs.

python -m tests.benchmarks.calibration [--repeats 400] [--seed 1] [--processes N] [--rows WORD …]

shapes      service times: log-normal, bimodal, heavy tails, pauses, bursts, queues
simulated   runs drawn from them, with effects of process, day and run, and known changes
scenarios   single pairs and duels of such runs, judged by `compare` on noise from `noise_of`
rows        the aims: each row of the table, with the maximum or minimum rate of an outcome
table       repetitions, Monte Carlo errors and the printed table
"""
