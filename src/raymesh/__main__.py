"""`python -m raymesh` is the `raymesh` command."""

from raymesh.cli import main

main()
