"""What stops a start, told so that the reader knows what to do next."""


class LauncherError(Exception):
    """A start cannot go on; the text says what is wrong and how to put it right."""

    def __init__(self, problem: str, *, advice: str = "") -> None:
        self.problem = problem
        self.advice = advice
        super().__init__(f"{problem}\n  {advice}" if advice else problem)
