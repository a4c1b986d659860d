"""`python -m settld.stripe_simulator`."""

import sys

from settld.stripe_simulator.cli import main

sys.exit(main())
