"""kubernetes.images: named exactly, from known places, the same in all replicas; told once for each workload."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.kubernetes import test_images
from opscheck import Findings, KubernetesTarget
from opscheck.core.observation import CouldNotObserve
from opscheck.core.templates import malformed, unknown_names
from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.images import ImagesPinned
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
SHA = f"sha256:{'5f' * 32}"
NO_LATEST = {"latest": "forbidden"}
NOT_MIXED = {"mixed": "forbidden"}
WEB_OLD, WEB_NEW = "web-7d4b9c6f5d", "web-6c8d7b9f44"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_pod(name=f"{WEB_OLD}-2xkqp", image="ghcr.io/acme/app:1.4.2", **fields):
    return pod(name, image=image, **{"created": ago(days=2), "labels": {"app": "web"}} | fields)


def expected(**fields) -> ImagesPinned:
    return expect(ImagesPinned, TARGET, **{"severity": "P2"} | fields)


def judged(*pods, **fields) -> Findings:
    answers = {expected(**fields).lists(ListPods)[0]: ObjectList(tuple(msgspec.convert(one, Pod) for one in pods))}
    return judge(test_images.test_the_images_are_pinned, expected(**fields), answers, NOW)


def observed(*pods, **fields) -> list[str]:
    return [violation.observed for violation in judged(*pods, **fields).violations]


def commands(*pods, **fields) -> list[str]:
    expectation = expected(**fields)
    return rendered(expectation, judged(*pods, **fields))


def with_init(item, name="migrate", image="ghcr.io/acme/migrate:1", **fields):
    item["spec"]["initContainers"] = [{"name": name, "image": image, **fields}]
    return item


# Healthy


def test_images_that_are_what_they_should_be_are_well():
    everything = NO_LATEST | NOT_MIXED | {"registries": ["ghcr.io/acme"], "expected": {"app": "ghcr.io/acme/app:1.4.2"}}

    findings = judged(a_pod(), a_pod(f"{WEB_OLD}-bbbbb"), **everything)

    assert [] == findings.violations
    assert [("pods", 2), ("images", 1)] == [(one.name, one.value) for one in findings.measurements]


def test_a_policy_chooses_at_least_one_limit():
    with pytest.raises(ValidationError, match=r"at least one limit \(latest, digest, registries, mixed, expected\)"):
        expected()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"expected": {"app": "not an image"}}, "the name of an image"),
        ({"expected": {}}, "at least 1"),
        ({"registries": []}, "at least 1"),
        ({"registries": ["https://ghcr.io"]}, "a registry or a folder of one"),
        ({"latest": "allowed"}, "'forbidden'"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(fields, text):
    with pytest.raises(ValidationError) as caught:
        expected(**fields)
    assert text in caught.value.errors()[0]["msg"]


def test_one_list_of_pods_is_all_that_is_asked():
    assert (ListPods("target", "default"),) == tuple(expected(**NO_LATEST).queries())


# Latest and digests


@pytest.mark.parametrize("image", ["nginx:1.27", "registry:5000/app:1", f"nginx@{SHA}", f"nginx:latest@{SHA}"])
def test_a_tag_or_a_digest_is_exact(image):
    assert [] == observed(a_pod(image=image), **NO_LATEST)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("nginx", "container app runs nginx, which means latest"),
        ("nginx:latest", "container app runs nginx:latest"),
        ("registry:5000/app", "container app runs registry:5000/app, which means latest"),
        ("registry:5000/app:latest", "container app runs registry:5000/app:latest"),
    ],
)
def test_popeye_a_port_is_no_tag_and_does_not_hide_latest(image, told):
    assert [told] == observed(a_pod(image=image), **NO_LATEST)


def test_the_pods_of_a_workload_are_one_finding():
    pods = [a_pod(f"{WEB_OLD}-{letter * 5}", image="nginx") for letter in "bcdfg"]

    (violation,) = judged(*pods, a_pod("lonely", image="nginx:1.27", owner=None), **NO_LATEST).violations

    assert "deployment/web" == violation.subject
    assert (f"in 5 of 5 pods: {WEB_OLD}-bbbbb, {WEB_OLD}-ccccc, {WEB_OLD}-ddddd and 2 more",) == violation.evidence
    assert () == violation.because  # a rollout that is stuck does not explain a tag
    assert "" == violation.about


def test_a_pod_that_nobody_controls_is_told_by_its_name():
    (violation,) = judged(a_pod("lonely", image="nginx", owner=None), **NO_LATEST).violations

    assert "lonely" == violation.subject


def test_init_containers_and_sidecars_are_judged_and_named_as_what_they_are():
    assert ["init container migrate runs busybox, which means latest"] == observed(
        with_init(a_pod(), image="busybox"), **NO_LATEST
    )
    assert ["container proxy runs envoy:latest"] == observed(
        with_init(a_pod(), "proxy", "envoy:latest", restartPolicy="Always"), **NO_LATEST
    )


def test_containers_that_others_put_there_can_be_left_out():
    injected = with_init(a_pod(), "istio-proxy", "istio/proxyv2", restartPolicy="Always")

    assert [] == observed(injected, ignore_containers=["istio-*"], **NO_LATEST)
    with pytest.raises(CouldNotObserve, match="every container of the selected pods is ignored"):
        judged(injected, ignore_containers=["*"], **NO_LATEST)


def test_a_required_digest_is_told_once_and_not_as_latest_too():
    limits = NO_LATEST | {"digest": "required"}

    assert ["container app runs nginx, which means latest"] == observed(a_pod(image="nginx"), **limits)
    assert ["container app runs nginx:1.27"] == observed(a_pod(image="nginx:1.27"), **limits)
    assert [] == observed(a_pod(image=f"nginx:1.27@{SHA}"), **limits)


# Registries


def test_images_come_from_known_places():
    (violation,) = judged(
        a_pod(image="nginx:1.27"), registries=["ghcr.io/acme", "*.dkr.ecr.*.amazonaws.com"]
    ).violations

    assert ("container app runs nginx:1.27", "images from ghcr.io/acme or *.dkr.ecr.*.amazonaws.com") == (
        violation.observed,
        violation.expected,
    )
    assert [] == observed(a_pod(image="nginx:1.27"), registries=["docker.io/library"])


# Mixed


def rollout(age, **fields):
    return (
        a_pod(f"{WEB_OLD}-bbbbb", **fields),
        a_pod(f"{WEB_OLD}-ccccc", **fields),
        a_pod(f"{WEB_NEW}-ddddd", image="ghcr.io/acme/app:1.5.0", created=NOW - age, **fields),
    )


@pytest.mark.parametrize(("age", "fires"), [(timedelta(minutes=15), False), (timedelta(minutes=15, seconds=1), True)])
def test_a_rollout_may_mix_images_for_as_long_as_it_may_take(age, fires):
    assert fires is bool(observed(*rollout(age), **NOT_MIXED))


def test_replicas_that_stay_different_are_told_with_since_when():
    (violation,) = judged(*rollout(timedelta(hours=2)), **NOT_MIXED).violations

    assert (
        "container app runs 2 images for 2h: ghcr.io/acme/app:1.4.2 in 2 pods, ghcr.io/acme/app:1.5.0 in 1 pod"
        == violation.observed
    )
    assert ("deployment/web", ago(hours=2), ("target/default/deployment/web",)) == (
        violation.subject,
        violation.since,
        violation.because,
    )


def test_a_pod_that_was_replaced_does_not_begin_the_mixture_anew():
    replaced = a_pod(f"{WEB_NEW}-fffff", image="ghcr.io/acme/app:1.5.0", created=ago(minutes=1))

    assert 1 == len(observed(*rollout(timedelta(hours=2)), replaced, **NOT_MIXED))


def test_pods_on_their_way_out_and_pods_that_are_done_are_left_out():
    old = [a_pod(f"{WEB_OLD}-bbbbb", deleted=ago(seconds=5)), a_pod(f"{WEB_OLD}-ccccc", phase="Failed")]

    assert [] == observed(*old, a_pod(f"{WEB_NEW}-ddddd", image="ghcr.io/acme/app:1.5.0"), **NOT_MIXED)


def test_the_runs_of_a_cron_job_may_differ():
    runs = [
        a_pod("backup-29001-x", owner="Job/backup-29001000"),
        a_pod("backup-29002-y", image="ghcr.io/acme/app:1.5.0", owner="Job/backup-29002000"),
    ]

    assert [] == observed(*runs, **NOT_MIXED)


def test_two_names_of_one_image_are_one():
    pods = [a_pod(f"{WEB_OLD}-bbbbb", "nginx:1.27"), a_pod(f"{WEB_NEW}-ccccc", "docker.io/library/nginx:1.27")]

    assert [] == observed(*pods, **NOT_MIXED)


# Expected


def test_another_image_than_the_policy_names_is_told():
    (violation,) = judged(a_pod(), expected={"app": "ghcr.io/acme/app:1.5.0"}).violations

    assert ("container app runs ghcr.io/acme/app:1.4.2", "ghcr.io/acme/app:1.5.0") == (
        violation.observed,
        violation.expected,
    )


@pytest.mark.parametrize(("age", "fires"), [(timedelta(minutes=15), False), (timedelta(minutes=16), True)])
def test_a_rollout_to_the_expected_image_may_be_on_its_way(age, fires):
    limits = NOT_MIXED | {"expected": {"a*": "ghcr.io/acme/app:1.5.0"}}

    found = observed(*rollout(age), **limits)

    assert (["container app runs ghcr.io/acme/app:1.4.2"] if fires else []) == found


def test_an_image_without_a_tag_stands_for_any_version():
    assert [] == observed(a_pod(), expected={"app": "ghcr.io/acme/app"})
    assert 1 == len(observed(a_pod(image="ghcr.io/evil/app:1.4.2"), expected={"app": "ghcr.io/acme/app"}))


def test_a_container_that_is_nowhere_is_no_pass():
    assert ["no container is named api"] == observed(a_pod(), expected={"api": "ghcr.io/acme/app:1.4.2"})


# How many, and where


def test_polaris_1190_no_pod_at_all_is_a_violation():
    (violation,) = judged(a_pod(phase="Succeeded"), selector="app=web", **NO_LATEST).violations

    assert ("app=web in namespace default", "0 pods", ">= 1") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert [] == observed(min_matches=0, **NO_LATEST)


def test_several_namespaces_are_told_apart():
    (violation,) = judged(a_pod(namespace="shop", image="nginx"), namespace="*", **NO_LATEST).violations

    assert ("shop/deployment/web", "shop") == (violation.subject, violation.facts["namespace"])


# What a person does about it

RUNNING = (
    f"kubectl -n default get pod {WEB_OLD}-2xkqp"
    " -o custom-columns='CONTAINERS:.spec.containers[*].name,RUNNING:.status.containerStatuses[*].imageID'"
)


def test_an_image_that_is_not_pinned_can_be_pinned_to_what_runs_now():
    assert [
        RUNNING,
        f"kubectl -n default set image deployment/web app=registry.example.com/app@{SHA}  # the running one",
    ] == commands(a_pod(image="nginx"), **NO_LATEST)


def test_replicas_that_run_different_digests_are_not_pinned_to_one_of_them():
    other = a_pod(f"{WEB_OLD}-zzzzz", image="nginx")
    other["status"]["containerStatuses"][0]["imageID"] = f"registry.example.com/app@sha256:{'6a' * 32}"

    assert [RUNNING] == commands(a_pod(image="nginx"), other, **NO_LATEST)


def test_another_image_than_the_expected_one_is_replaced_by_it():
    assert [
        RUNNING,
        "kubectl -n default rollout history deployment/web",
        "kubectl -n default set image deployment/web app=ghcr.io/acme/app:1.5.0",
    ] == commands(a_pod(), expected={"app": "ghcr.io/acme/app:1.5.0"})


def test_a_mixture_is_looked_at_as_a_rollout():
    (_, *found) = commands(*rollout(timedelta(hours=1)), **NOT_MIXED)

    assert [
        "kubectl -n default rollout status deployment/web --watch=false",
        "kubectl -n default rollout history deployment/web",
    ] == found


# Whatever an object lacks

CONTAINERS = st.none() | st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from([None, "app", "proxy"]),
            "image": st.sampled_from([None, "", "nginx", "nginx:1", ":", "@", "a/b:c@d", f"nginx@{SHA}"]),
        }
    ),
    max_size=3,
)
STATUSES = st.none() | st.lists(
    st.fixed_dictionaries({"name": st.sampled_from([None, "app"]), "imageID": st.sampled_from([None, "", "x@y:z"])}),
    max_size=2,
)
PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {
                "creationTimestamp": st.sampled_from([None, "2026-03-01T11:00:00Z", "2026-03-01T11:59:00Z"]),
                "ownerReferences": st.sampled_from(
                    [None, [], [{"kind": "StatefulSet", "name": "web", "controller": True}], [{"controller": True}]]
                ),
            }
        ),
        "spec": st.none() | st.fixed_dictionaries({"containers": CONTAINERS, "initContainers": CONTAINERS}),
        "status": st.none() | st.fixed_dictionaries({"containerStatuses": STATUSES}),
    }
)
EVERYTHING = NO_LATEST | NOT_MIXED | {"registries": ["ghcr.io"], "expected": {"app": "nginx:1"}}


@given(st.lists(PODS, max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_whatever_is_missing_nothing_is_raised_and_no_order_matters(pods, random):
    def told():
        findings = judged(*pods, a_pod(), **EVERYTHING)
        return sorted((one.subject, one.observed, one.evidence, sorted(one.facts)) for one in findings.violations)

    for number, one in enumerate(pods):
        one["metadata"]["name"] = f"web-{number}"
    before = told()
    random.shuffle(pods)

    assert before == told()


def test_each_remediation_can_be_written():
    for command in (text for remedy in expected(**NO_LATEST).remedies for text in remedy.commands):
        assert [] == [*malformed(command), *unknown_names(command, expected(**NO_LATEST))]
