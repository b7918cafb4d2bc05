"""What every check looks at, and what it may say."""

from __future__ import annotations

from collections.abc import Mapping

from pascal_install.inspection.local import torch_cuda_label
from pascal_install.installation.needs import Markers, markers_for
from pascal_install.installation.state import Distribution, Environment, read_environment, requires
from pascal_install.model.build import compiles_itself
from pascal_install.model.finding import Finding
from pascal_install.model.interpreter import Target
from pascal_install.resolve.context import Context
from pascal_install.value import NamedTuple


class Case(NamedTuple):
    """One environment on one machine."""

    context: Context
    """Machine, target and catalogue; no packages are asked for."""
    environment: Environment
    markers: Markers
    environ: Mapping[str, str]
    torch_label: str
    """The CUDA variant of the installed torch, `cu124` or `cpu`; empty where there is no torch that tells."""

    @property
    def target(self) -> Target:
        """The Python environment."""
        return self.context.target

    def sound(self, name: str) -> Distribution | None:
        """Find a distribution that is installed and whole, by normalised name."""
        return self.environment.whole(name)

    def requires(self, distribution: Distribution) -> tuple[str, ...]:
        """Give the Requires-Dist lines of a distribution."""
        return requires(distribution)

    def is_known(self, name: str) -> bool:
        """Tell whether the catalogue holds a package whose build matters here; triton comes and goes with torch."""
        package = self.context.catalogue.packages.get(name)
        return package is not None and not compiles_itself(package)


class Symptom(NamedTuple):
    """What a check found, and what would mend it; a finding without a cure is the person's to mend."""

    finding: Finding
    replace: tuple[str, ...] = ()
    """Packages of the catalogue of which another build must come."""
    repair: tuple[str, ...] = ()
    """Packages of the catalogue that are the right ones, but must come again, or what they require."""
    install: tuple[str, ...] = ()
    """Requirements that pip's own index serves."""
    remove: tuple[str, ...] = ()
    """Distributions that must go."""
    sweep: bool = False
    """Leftovers must go; each install takes them away."""
    recover: bool = False
    """A killed install must be undone before anything else is looked at."""


def make_case(context: Context, environ: Mapping[str, str]) -> Case:
    """Read the environment."""
    environment = read_environment(context.target)
    label = torch_cuda_label(environment.sites)
    return Case(context, environment, markers_for(context.target), environ, label)
