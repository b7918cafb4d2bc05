"""Whether wheels that nobody is known to have used are really there."""

from __future__ import annotations

from pascal_install.model.plan import Plan
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.fetch import Fetcher


class NotPublishedError(Exception):
    """A host says that wheels of the plan do not exist: resolve again without them. No error that a person sees."""

    def __init__(self, urls: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(urls)))
        self.urls = urls


def unpublished(plan: Plan, fetcher: Fetcher) -> frozenset[str]:
    """Ask for each wheel that is known from a workflow only; give the addresses that do not exist.

    Raises NetworkError where a host does not answer: that says nothing about the wheel.
    """
    from pascal_install.fetch import published

    asked = [pin.build.wheel for pin in plan.pins if pin.build.wheel.existence != "proven" and pin.build.wheel.url]
    return frozenset(wheel.url for wheel in asked if not published(fetcher, wheel.url))
