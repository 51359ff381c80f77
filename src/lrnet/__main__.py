"""`python -m lrnet` is `lrnet`."""

from lrnet.cli import main

if __name__ == "__main__":
    main()
