"""`python -m crmmail` does what the `crmmail` command does."""

import sys

from crmmail.cli import main

sys.exit(main())
