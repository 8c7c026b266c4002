"""The store's fixtures serve here too."""

from tests.store.conftest import clock, directory, heard, store

__all__ = ["clock", "directory", "heard", "store"]
