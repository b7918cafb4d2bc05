"""The one order in which plans are ranked.

1. The newest version of each package that was asked for, in the order of asking.
2. The newest torch.
3. A CUDA variant that the driver implements by itself, before one that runs through minor-version compatibility.
4. The newest CUDA variant.
5. The file name, so that equal plans come out the same on every machine.
"""

from __future__ import annotations

from pascal_install.model.cuda import CudaVersion, variant_cuda
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pascal_install.model.build import Build
    from pascal_install.resolve.context import Context

    Picks = Mapping[str, Build]
    Rank = tuple[tuple[int, ...], int, bool, CudaVersion, tuple[str, ...]]


def rank(picks: Picks, asked: Sequence[str], pivot: Build | None, context: Context) -> Rank:
    """Give the place of a set of picks: the highest is the plan."""
    versions = tuple(picks[name].release.rank for name in asked)
    leading = pivot or picks[asked[0]]
    cuda = variant_cuda(leading.release.variant) or CudaVersion(0, 0)
    driver = context.host.driver
    native = driver is None or driver.cuda is None or cuda <= driver.cuda
    names = tuple(sorted(build.wheel.filename for build in picks.values()))
    return (versions, pivot.release.rank if pivot else 0, native, cuda, names)
