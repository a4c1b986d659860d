"""Who can log in to the demo."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Person:
    """A login and its role in every tenant of the demo."""

    username: str
    first_name: str
    last_name: str
    role: str
    platform_role: str = ""


PEOPLE: Final = (
    Person("demo-owner", "Olivia", "Owner", "owner"),
    Person("demo-finance", "Felix", "Finance", "finance"),
    Person("demo-viewer", "Vera", "Viewer", "viewer"),
    Person("demo-admin", "Ada", "Admin", "owner", platform_role="admin"),  # the Django admin too
)
