"""The network: pages, ranges and files, over HTTP and from folders that the person named.

Nothing else imports requests, and `plan` never imports this package.
"""

from pascal_install.fetch.faults import FetchError
from pascal_install.fetch.fetcher import Fetcher, RemoteFile, find, from_any, published
from pascal_install.fetch.pages import Page
from pascal_install.fetch.patience import Stopped

__all__ = ["FetchError", "Fetcher", "Page", "RemoteFile", "Stopped", "find", "from_any", "published"]
