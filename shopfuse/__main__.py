"""`python -m shopfuse`: what torchrun starts."""

from shopfuse.cli.main import main

main()
