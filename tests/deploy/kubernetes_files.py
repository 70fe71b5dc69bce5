# Called by: tests/deploy/check.py.
"""The Kubernetes examples: by the schemas of its API, by what no schema says, and as `Deployment`s."""

import kubernetes_validate
import yaml

from deployment import LONGEST_JITTER, RESTARTS_ON_KUBERNETES, Deployment, Refused, gives_up_with, http_probe, rule, size

# The newest one known to the checker, and one that clusters of some age still run: the first with sidecars.
NEWEST, OLDER = kubernetes_validate.latest_version(), "1.29"
# A usage error, a command that cannot be executed, one that is not there.
OF_ITS_OWN = {125, 126, 127}
# The first one that has restart rules without being told so.
RULES_SINCE = "1.35"


def kubernetes(path):
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest["kind"] not in ("Pod", "Deployment", "Job"):
            valid(manifest, OLDER)
            continue
        pod = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
        ruled = [container for container in pod["containers"] if "restartPolicyRules" in container]
        valid(manifest, RULES_SINCE if ruled else OLDER)
        restricted(pod)
        for container in ruled:
            restart_rules(container, manifest["kind"] == "Job")
        sidecars = pod.get("initContainers", [])
        rule(all(sidecar.get("restartPolicy") == "Always" for sidecar in sidecars), "an init container that is no sidecar")
        found = [deployment(path, manifest["kind"], pod, container) for container in sidecars + pod["containers"]]
        one_after_the_other(found[: len(sidecars)], found[len(sidecars):])
        if manifest["kind"] == "Deployment":
            rollout(manifest["spec"], found)
        if manifest["kind"] == "Job":
            failure_policy(manifest["spec"], pod)
        yield from found


def valid(manifest, oldest):
    for version in (NEWEST, oldest):
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            raise Refused(f"Kubernetes {version}: {error}") from error


def deployment(path, kind, pod, container):
    rule("command" not in container, "command: replaces restartinit; the app's command belongs in args:")
    rule(container["terminationMessagePath"] == "/dev/termination-log", "restartinit looks for /dev/termination-log")
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    it = Deployment(
        name=f"{path.name}: {kind} {container['name']}",
        settings=settings(container),
        stop_limit=pod["terminationGracePeriodSeconds"],
        memory_limit=size(container["resources"]["limits"]["memory"]),
        published=set(ports.values()),
        is_batch=kind == "Job",
    )
    for kind in ("startup", "readiness", "liveness"):
        if kind + "Probe" in container:
            it.probes.append(http_probe(kind, container[kind + "Probe"], ports))
    return it


def settings(container):
    return {entry["name"]: entry["value"] for entry in container["env"]}


def one_after_the_other(sidecars, apps):
    """The kubelet asks a sidecar to stop once the apps have gone, the last one that started first. All of them share the pod's limit."""
    for sidecar in sidecars:
        sidecar.sidecar = True
    for it in sidecars + apps:
        others = [one.needed() for one in sidecars if one is not it]
        if it.sidecar:
            others.append(max(app.needed() for app in apps))
        it.others = sum(others)


def rollout(spec, found):
    progress, ready = spec["progressDeadlineSeconds"], spec["minReadySeconds"]
    for it in found:
        startup, readiness = it.probes[:2]
        unseen = loop_unseen(it, readiness)
        rule(ready > unseen, f"minReadySeconds: a crash loop may be Ready without a break for {unseen:g} s")
        rule(progress > startup.interval * startup.failures + ready, "progressDeadlineSeconds is shorter than one pod's start")


def loop_unseen(it, readiness):
    """How long a crash loop may be Ready without a break, in seconds: until a wait is long enough for the readiness probe, or the restarts are used up.
    Each run is just too short to count as one that works."""
    run, wait, longest = it.seconds("STABLE_AFTER"), it.seconds("BACKOFF"), it.seconds("BACKOFF_MAX")
    unseen = run
    for restart in range(int(it.settings.get("RESTARTINIT_MAX_RESTARTS", RESTARTS_ON_KUBERNETES))):
        spread = min(wait * 2 ** (restart - 1), longest) * LONGEST_JITTER if restart else 0
        if spread > readiness.interval * (readiness.failures + 1):
            break
        unseen += spread + run
    return unseen


def restart_rules(container, is_batch):
    """The codes with which restartinit gives up end the pod; all else the kubelet starts again, in a Job but for a success."""
    rule(container.get("restartPolicy") == "Never", "restartPolicyRules: what no rule names must not be restarted, so restartPolicy is Never")
    [only] = container["restartPolicyRules"]
    rule(only["action"] == "Restart" and only["exitCodes"]["operator"] == "NotIn", "restartPolicyRules: all codes but some are to be restarted")
    ends = gives_up_with(settings(container)) | ({0} | OF_ITS_OWN if is_batch else set())
    codes = only["exitCodes"]["values"]
    rule(set(codes) == ends, f"restartPolicyRules names {codes}, and restartinit decides with {sorted(ends)}")


def failure_policy(spec, pod):
    """What restartinit gave up fails the Job at once; a disruption counts for nothing; all else, such as a killed container, counts."""
    rule(pod.get("restartPolicy") == "Never", "podFailurePolicy: the API server wants the pod's restartPolicy to be Never")
    [container] = pod["containers"]
    rule("RESTARTINIT_EXHAUSTED_CODE" in settings(container), "podFailurePolicy: without RESTARTINIT_EXHAUSTED_CODE any code may mean that the restarts are used up")
    fails, ignores = spec["podFailurePolicy"]["rules"]
    rule(fails["action"] == "FailJob" and fails["onExitCodes"]["operator"] == "In", "podFailurePolicy: the first rule must fail the Job on some codes")
    rule(fails["onExitCodes"]["containerName"] == container["name"], "podFailurePolicy: the rule is about another container")
    codes, ends = fails["onExitCodes"]["values"], gives_up_with(settings(container)) | OF_ITS_OWN
    rule(set(codes) == ends, f"podFailurePolicy fails the Job on {codes}, and restartinit gives up with {sorted(ends)}")
    rule(ignores["action"] == "Ignore" and ignores["onPodConditions"][0]["type"] == "DisruptionTarget", "podFailurePolicy: a disruption counts as a failure")


def restricted(pod):
    """What Kubernetes' Pod Security Standard `restricted` asks, and a read-only root."""
    rule(pod["securityContext"].get("runAsNonRoot") is True, "restricted: runAsNonRoot is not true")
    rule(pod["securityContext"].get("seccompProfile", {}).get("type") == "RuntimeDefault", "restricted: no seccomp profile")
    for container in pod.get("initContainers", []) + pod["containers"]:
        context = container["securityContext"]
        rule(context.get("allowPrivilegeEscalation") is False, "restricted: allowPrivilegeEscalation is not false")
        rule(context.get("capabilities", {}).get("drop") == ["ALL"], "restricted: not all capabilities are dropped")
        rule(context.get("readOnlyRootFilesystem") is True, "the root is not read-only")
