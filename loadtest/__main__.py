"""`python -m loadtest` is `loadtest`."""

from loadtest.cli import main

main(prog_name="loadtest")
