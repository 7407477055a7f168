"""What findings about the tools that make backups know, and what to type for each."""

from collections.abc import Mapping

from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl

SUMMARY = "See why the last backups failed or were not made, mend that, then make one now and see it succeed"

# A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
FACTS: Mapping[str, Mapping[str, str]] = {
    "cronjob": PLACE_FACTS
    | {
        "cronjob": "the cron job's name",
        "suspended": "the cron job, when it is suspended",
        "failed_job": "its newest job, when that failed",
        "active_job": "the oldest of its jobs that still run",
        "rerun_of": "the cron job, when it is neither suspended nor running",
        "rerun": "a name for another run of it",
        "scripted": "the cron job, when its script hides failures",
    },
    "velero": PLACE_FACTS
    | {
        "schedule": "the name of Velero's schedule",
        "run_schedule": "the schedule, when a backup should be made by it now",
        "paused_schedule": "the schedule, when it is paused",
        "failed_backup": "its newest backup, when that failed",
        "stuck_backup": "its backup that does not end",
        "location": "the storage location that is not available, or not there",
    },
    "pgbackrest": {
        "stanza": "the stanza",
        "repository": "the number of its repository",
        "stale_stanza": "the stanza, when its last good backup is too old or there is none",
        "stale_repository": "the number of its repository then",
        "full_stanza": "the stanza, when its last full backup is too old or there is none",
        "full_repository": "the number of its repository then",
        "damaged": "the newest backup, when it is damaged",
        "damaged_stanza": "its stanza",
        "missing_stanza": "a stanza that is not there",
    },
    "barman": {
        "server": "the server, as Barman calls it",
        "stale_server": "the server, when its last good backup is too old or there is none",
        "failed": "the newest backup that failed",
        "failed_server": "its server",
        "missing_server": "a server that Barman does not know",
    },
}


def velero(*commands: str) -> tuple[str, ...]:
    """Remediation commands of Velero's own program, each with the context that the policy pins, or without."""
    return tuple(
        form
        for command in commands
        for form in (
            f"velero --kubecontext {{{{ context }}}} -n {{{{ namespace }}}} {command}",
            f"velero -n {{{{ current_namespace }}}} {command}",
        )
    )


TOOL_COMMANDS = (
    *kubectl(
        "describe cronjob {{ cronjob }}",
        "logs job/{{ failed_job }} --all-containers --tail=100",
        "describe job {{ active_job }}",
        "logs job/{{ active_job }} --all-containers --tail=100",
        'patch cronjob {{ suspended }} -p \'{"spec": {"suspend": false}}\'',
        "create job --from=cronjob/{{ rerun_of }} {{ rerun }}",
        "edit cronjob {{ scripted }}  # begin with `set -euo pipefail`, keep a file's name in a variable",
    ),
    *velero(
        "schedule describe {{ schedule }}",
        "backup describe {{ failed_backup }} --details",
        "backup logs {{ failed_backup }}",
        "backup describe {{ stuck_backup }} --details",
        "schedule unpause {{ paused_schedule }}",
        "backup create --from-schedule {{ run_schedule }} --wait",
    ),
    *kubectl("describe backupstoragelocations.velero.io {{ location }}"),
    "pgbackrest info --stanza={{ stanza }} --repo={{ repository }}",
    "pgbackrest backup --stanza={{ stale_stanza }} --repo={{ stale_repository }} --log-level-console=info",
    "pgbackrest backup --stanza={{ full_stanza }} --repo={{ full_repository }} --type=full --log-level-console=info",
    "pgbackrest info --stanza={{ damaged_stanza }} --repo={{ repository }} --set={{ damaged }}  # names the files",
    "pgbackrest info --stanza={{ missing_stanza }}  # was it renamed, or never created?",
    "barman list-backup {{ server }}",
    "barman show-backup {{ failed_server }} {{ failed }}",
    "barman backup --wait {{ stale_server }}",
    "barman show-server {{ missing_server }}  # is its file in barman.d, and `active`?",
)
