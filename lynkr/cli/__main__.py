"""``python -m lynkr.cli``, for where the script is not on the path."""

import sys

from lynkr.cli import main

sys.exit(main())
