"""The authorizer in Wasmtime: the functions of `keyswap:auth/authorizer`, as they stand in its WIT."""

from functools import cache
from importlib.resources import files
from typing import Any

import wasmtime
from wasmtime import component

INTERFACE = "keyswap:auth/authorizer@0.1.2"
FILE = "keyswap-authorizer.wasm"


def record(**fields: Any) -> Any:
    made = component.Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


@cache
def compiled() -> tuple[wasmtime.Engine, component.Component]:
    """Compiles the authorizer, once a process."""
    engine = wasmtime.Engine()
    return engine, component.Component(engine, files(__package__).joinpath(FILE).read_bytes())


class Authorizer:
    """An instance of the authorizer. It imports nothing."""

    def __init__(self) -> None:
        engine, authorizer = compiled()
        self._store = wasmtime.Store(engine)
        self._instance = component.Linker(engine).instantiate(self._store, authorizer)
        self._interface = self._instance.get_export_index(self._store, INTERFACE)
        self._functions: dict[str, component.Func] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        function = self._functions.get(name) or self._find(name)
        try:
            return function(self._store, *arguments)
        finally:
            function.post_return(self._store)

    def drop(self, resource: component.ResourceAny) -> None:
        """Gives a resource back. Python's own collector does not."""
        resource.drop(self._store)

    def _find(self, name: str) -> component.Func:
        index = self._instance.get_export_index(self._store, name, self._interface)
        function = index and self._instance.get_func(self._store, index)
        if not function:
            raise LookupError(f"the authorizer has no function `{name}`")
        self._functions[name] = function
        return function
