"""C{python -m sftpgo}."""

from sftpgo.cli import main

if __name__ == "__main__":
    main()
