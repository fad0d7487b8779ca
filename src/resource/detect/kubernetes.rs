//! The pod (semantic conventions, k8s): what the downward API and the kubelet's mounts tell.

use super::{Found, container};
use crate::resource::World;

/// Of each attribute, the variables that are looked for. Kubernetes reserves none; these are in common use.
const VARIABLES: [(&str, &[&str]); 12] = [
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME"]),
    (
        "k8s.namespace.name",
        &[
            "K8S_NAMESPACE_NAME",
            "K8S_POD_NAMESPACE",
            "POD_NAMESPACE",
            "K8S_NAMESPACE",
            "KUBERNETES_NAMESPACE",
        ],
    ),
    (
        "k8s.pod.name",
        &[
            "K8S_POD_NAME",
            "POD_NAME",
            "KUBERNETES_POD_NAME",
            "HOSTNAME",
        ],
    ),
    (
        "k8s.pod.uid",
        &["K8S_POD_UID", "POD_UID", "KUBERNETES_POD_UID"],
    ),
    (
        "k8s.node.name",
        &["K8S_NODE_NAME", "NODE_NAME", "KUBERNETES_NODE_NAME"],
    ),
    (
        "k8s.container.name",
        &["K8S_CONTAINER_NAME", "CONTAINER_NAME"],
    ),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME"]),
    ("k8s.replicaset.name", &["K8S_REPLICASET_NAME"]),
    ("k8s.statefulset.name", &["K8S_STATEFULSET_NAME"]),
    ("k8s.daemonset.name", &["K8S_DAEMONSET_NAME"]),
    ("k8s.job.name", &["K8S_JOB_NAME"]),
    ("k8s.cronjob.name", &["K8S_CRONJOB_NAME"]),
];

pub(super) const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

pub(super) fn detect(world: &World, found: &mut Found) {
    if !is_pod(world) {
        return;
    }
    for (key, variables) in VARIABLES {
        let variable = world.any_variable(variables).map(str::to_owned);
        let value = variable.or_else(|| match key {
            "k8s.namespace.name" => world.line(NAMESPACE),
            "k8s.pod.uid" => pod_uid(world),
            "k8s.container.name" => container_name(world),
            _ => None,
        });
        found.put(key, value);
    }
}

/// The kubelet gives each container the address of the API server, and its pod a service account unless that is switched off.
pub(super) fn is_pod(world: &World) -> bool {
    world.variable("KUBERNETES_SERVICE_HOST").is_some() || world.line(NAMESPACE).is_some()
}

/// In a cgroup's path as `pod<uid>`, with underscores where systemd names it; in the kubelet's mounts as `/pods/<uid>/`.
fn pod_uid(world: &World) -> Option<String> {
    let cgroups = world.read("/proc/self/cgroup").unwrap_or_default();
    let mut segments = cgroups.split(['/', ':', '\n', '.']);
    let of_cgroup = segments.find_map(|segment| {
        let (_, uid) = segment.rsplit_once("pod")?;
        let uid = uid.replace('_', "-");
        is_uid(&uid).then_some(uid)
    });
    of_cgroup.or_else(|| {
        let mounts = container::mounts(world);
        let mut mounts = mounts.iter();
        mounts.find_map(|mount| {
            let uid = behind(mount.root, "/pods/")?;
            is_uid(uid).then(|| uid.to_owned())
        })
    })
}

/// The kubelet keeps the termination log below `/pods/<uid>/containers/<name>/`.
fn container_name(world: &World) -> Option<String> {
    let mounts = container::mounts(world);
    let mut mounts = mounts.iter();
    mounts.find_map(|mount| {
        let (_, of_pod) = mount.root.split_once("/pods/")?;
        behind(of_pod, "/containers/").map(str::to_owned)
    })
}

/// The segment of a path behind `folder`.
fn behind<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let (_, rest) = path.split_once(folder)?;
    rest.split('/').next().filter(|segment| !segment.is_empty())
}

/// A UUID, or for a pod that is no object of the API server the 32 digits of a hash.
fn is_uid(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    let others = text.len() - digits;
    digits == 32 && (others == 0 || others == 4 && text.matches('-').count() == 4)
}
