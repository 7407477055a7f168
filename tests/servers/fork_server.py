"""
Fork server: a process that has imported opscheck and its libraries, and forks once per requested command.

A forked child needs a tenth of the CPU time of a new interpreter, most of which is imports. It is a process of its own
with its own registries, modules, environment, folder and output, so that tests which define kinds of expectations do
not see each other. What depends on the imports themselves is tested with new interpreters (`make test-manners`).

Requests are lines of JSON on standard input; the answers on standard output are the child's pid, then its exit code.
"""

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO, NoReturn

# What a run of opscheck or pytest imports anyway. Not the bundled checks: pytest rewrites their assertions.
_LIBRARIES = (
    "_pytest.pytester",
    "boto3",
    "botocore.client",
    "click",
    "cryptography.x509",
    "httpcore",
    "hypothesis",
    "jmespath",
    "junit_xml",
    "kubernetes.client",
    "kubernetes.config",
    "msgspec",
    "psycopg",
    "pydantic",
    "pytest",
    "redis",
    "testinfra.plugin",
    "urllib3",
    "xdist.plugin",
    "yaml",
)
_NOT_IMPORTED = ("opscheck.demo", "opscheck.checks", "opscheck.__main__")


def _import_all() -> None:
    for library in _LIBRARIES:
        importlib.import_module(library)
    import opscheck  # noqa: PLC0415 -- slow

    for module in pkgutil.walk_packages(opscheck.__path__, "opscheck."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    from _pytest.assertion.rewrite import AssertionRewritingHook  # noqa: PLC0415

    # pytest warns that plugins were imported before it could rewrite their assertions. A new interpreter does not.
    AssertionRewritingHook._warn_already_imported = lambda *_: None  # type: ignore[method-assign]  # for the reason above
    gc.collect()
    gc.freeze()  # the children share this memory


def _serve(requests: BinaryIO, answers: BinaryIO) -> dict[str, Any]:
    """Return a request in each forked child; the server itself ends with its input."""
    for line in requests:
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            requests.close()
            answers.close()
            return request
        _answer(answers, child)
        _, status = os.waitpid(child, 0)
        _answer(answers, os.waitstatus_to_exitcode(status))
    os._exit(0)


def _answer(answers: BinaryIO, number: int) -> None:
    answers.write(b"%d\n" % number)
    answers.flush()


def _become(request: dict[str, Any]) -> None:
    """Take folder, environment, arguments, input and output of the request."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    for name, descriptor, mode in (
        ("stdin", 0, os.O_RDONLY),
        ("stdout", 1, os.O_WRONLY | os.O_APPEND),
        ("stderr", 2, os.O_WRONLY | os.O_APPEND),
    ):
        opened = os.open(request[name], mode)
        os.dup2(opened, descriptor)
        os.close(opened)
    module, *arguments = request["arguments"]
    sys.argv = [module, *arguments]
    # As `python -m` does: the current folder first, then PYTHONPATH.
    added = [request["cwd"], *filter(None, request["env"].get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:] = [*added, *(place for place in sys.path if place not in added)]


def _run(module: str) -> NoReturn:
    """Run the module as `python -m` does, and end as an interpreter ends."""
    code: Any = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 -- an interpreter prints it
        traceback.print_exc()
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as an interpreter that ends
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)


def main() -> None:
    """Serve."""
    requests, answers = (
        os.fdopen(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10), mode)
        for descriptor, mode in ((0, "rb"), (1, "wb"))
    )
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    _import_all()
    _answer(answers, os.getpid())
    request = _serve(requests, answers)
    _become(request)
    _run(sys.argv[0])


if __name__ == "__main__":
    main()
