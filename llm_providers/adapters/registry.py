"""Finds the adapters: every module of this package that defines an `Adapter` with a `kind`."""

import importlib
import pkgutil
from functools import cache

import llm_providers.adapters as package
from llm_providers.adapters.base import Adapter


@cache
def adapters() -> dict[str, type[Adapter]]:
    """Kind -> adapter class, in alphabetical order of kind."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_kinds(Adapter).items()))


def _kinds(parent: type[Adapter]) -> dict[str, type[Adapter]]:
    found = {parent.kind: parent} if parent.kind else {}
    for child in parent.__subclasses__():
        found |= _kinds(child)
    return found
