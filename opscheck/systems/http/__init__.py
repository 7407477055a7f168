"""HTTP APIs."""

from opscheck.bundle import bundled
from opscheck.core.system import Kind, System

SYSTEM = System(
    name="http",
    kinds={
        "http": Kind(
            target="opscheck.systems.http.target:HttpTarget",
            probe="opscheck.systems.http.probe",
        ),
    },
    expectations={
        "http.response": "opscheck.systems.http.response:HttpResponse",
        "http.value": "opscheck.systems.http.value:HttpValue",
    },
    checks=bundled("checks") / "http",
    discover="opscheck.systems.http.discovery:discover",
)
