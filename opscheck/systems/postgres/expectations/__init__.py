"""What can be expected of a PostgreSQL server, a module per field of work."""

from importlib import import_module
from pkgutil import iter_modules

# To import this package makes all of them known under the names of their checks.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
