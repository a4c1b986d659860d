"""What ends a drill without evidence."""


class DrillStopped(Exception):
    """Usage, network or key error: nothing was written. The message never holds the ops token."""
