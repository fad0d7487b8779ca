//! Detectors: what a process can tell of itself and where it runs, without asking anyone.

mod aws;
mod azure;
mod container;
mod gcp;
mod host;
mod kubernetes;
mod os;
mod process;

use super::World;
use super::instance::instance_id;
use crate::model::Value;

/// Finds attributes of the resource, for [`Builder::with_detectors`](crate::Builder::with_detectors). None is used unless it
/// is named there.
///
/// A detector runs once, in `build`, on the caller's thread. It reads variables of the process and small local files (64 KiB of
/// regular files at most), and never asks the network: what only a metadata server knows is not found. A detector that finds
/// nothing adds nothing, and that is no error.
///
/// Names and values are those of the semantic conventions 1.44, and the resource's schema URL then says so. The specification
/// wants detectors of platforms in packages of their own, so that nobody runs them who did not ask; here they are part of
/// the crate, need no dependency, and run only when they are named.
///
/// ```
/// use tracing_otlp::Detector;
///
/// let builder = tracing_otlp::layer().with_detectors([Detector::Host, Detector::Container]);
/// # drop(builder);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detector {
    /// `service.name`, as `unknown_service:` and the name of the executable, and `service.instance.id`, random for each
    /// process. A resource always has these; the detector adds nothing but the schema URL.
    Service,
    /// `process.pid`, `process.executable.name`, `process.executable.path` and `process.owner` (`/proc/self/status` and
    /// `/etc/passwd`, else `USER`, `USERNAME`). Never the command line, which may hold secrets.
    Process,
    /// `os.type`; from `/etc/os-release` or `/usr/lib/os-release` `os.name`, `os.version` and `os.description`; `os.build_id`
    /// from there or `/proc/sys/kernel/osrelease`.
    Os,
    /// `host.arch`; `host.name` (`/proc/sys/kernel/hostname`, `/etc/hostname`, `HOSTNAME`, `COMPUTERNAME`); outside of
    /// containers `host.id` (`/etc/machine-id`, `/var/lib/dbus/machine-id`; on BSD `/etc/hostid`).
    Host,
    /// `container.id`, of 64 hexadecimal digits, from `/proc/self/cgroup` or `/proc/self/mountinfo`: of Docker, containerd,
    /// CRI-O and Podman.
    Container,
    /// In a pod (`KUBERNETES_SERVICE_HOST`, or a service account): of each row, the first variable that is set. A pod
    /// has them from the downward API (`fieldRef`), or as plain values.
    ///
    /// | Attribute | Variables, else files |
    /// |---|---|
    /// | `k8s.cluster.name` | `K8S_CLUSTER_NAME` |
    /// | `k8s.namespace.name` | `K8S_NAMESPACE_NAME`, `K8S_POD_NAMESPACE`, `POD_NAMESPACE`, `K8S_NAMESPACE`, `KUBERNETES_NAMESPACE`; the service account's |
    /// | `k8s.pod.name` | `K8S_POD_NAME`, `POD_NAME`, `KUBERNETES_POD_NAME`, `HOSTNAME` |
    /// | `k8s.pod.uid` | `K8S_POD_UID`, `POD_UID`, `KUBERNETES_POD_UID`; `/proc/self/cgroup`, `/proc/self/mountinfo` |
    /// | `k8s.node.name` | `K8S_NODE_NAME`, `NODE_NAME`, `KUBERNETES_NODE_NAME` |
    /// | `k8s.container.name` | `K8S_CONTAINER_NAME`, `CONTAINER_NAME`; `/proc/self/mountinfo` |
    /// | `k8s.deployment.name` | `K8S_DEPLOYMENT_NAME` |
    /// | `k8s.replicaset.name` | `K8S_REPLICASET_NAME` |
    /// | `k8s.statefulset.name` | `K8S_STATEFULSET_NAME` |
    /// | `k8s.daemonset.name` | `K8S_DAEMONSET_NAME` |
    /// | `k8s.job.name` | `K8S_JOB_NAME` |
    /// | `k8s.cronjob.name` | `K8S_CRONJOB_NAME` |
    ///
    /// `HOSTNAME` is the node's name in a pod with `hostNetwork`; set one of the others there.
    Kubernetes,
    /// `cloud.provider`, `cloud.platform` and `cloud.region` on AWS, and what the platform says: Lambda
    /// (`AWS_LAMBDA_FUNCTION_NAME`: `faas.*`, `aws.log.*`), ECS (`ECS_CONTAINER_METADATA_URI_V4`: `aws.ecs.launchtype`), EKS
    /// (credentials by IRSA or Pod Identity), Elastic Beanstalk (`/var/elasticbeanstalk/xray/environment.conf`:
    /// `service.namespace`, `service.version`).
    Aws,
    /// `cloud.provider` and `cloud.platform` on Google Cloud, and what the platform says: Cloud Run services (`K_SERVICE`) and
    /// jobs (`CLOUD_RUN_JOB`: `gcp.cloud_run.job.*`), Cloud Functions (`FUNCTION_TARGET`), App Engine (`GAE_SERVICE`), with
    /// `faas.*`; GKE (by `/sys/class/dmi/id/product_name`). The region and the project are known to the metadata server alone
    /// but where `FUNCTION_REGION`, `GOOGLE_CLOUD_PROJECT` or `GCP_PROJECT` says them.
    Gcp,
    /// `cloud.provider` and `cloud.platform` on Azure, and what the platform says: App Service (`WEBSITE_SITE_NAME`:
    /// `cloud.resource_id`), Functions (`FUNCTIONS_EXTENSION_VERSION`: `faas.instance`, `faas.max_memory`), Container Apps
    /// (`CONTAINER_APP_NAME`: `azure.container_app.*`), with `service.name`, `cloud.region` and `deployment.environment.name`.
    Azure,
}

/// Each with its name in configurations, and how its attributes are explained. The later may know better than the earlier.
const DETECTORS: [(Detector, &str, &str); 9] = [
    (Detector::Service, "service", "detector service"),
    (Detector::Process, "process", "detector process"),
    (Detector::Os, "os", "detector os"),
    (Detector::Host, "host", "detector host"),
    (Detector::Container, "container", "detector container"),
    (Detector::Kubernetes, "kubernetes", "detector kubernetes"),
    (Detector::Aws, "aws", "detector aws"),
    (Detector::Gcp, "gcp", "detector gcp"),
    (Detector::Azure, "azure", "detector azure"),
];

impl Detector {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        DETECTORS.into_iter().map(|(detector, _, _)| detector)
    }

    /// Its name in configurations: `container`, `host`, `process` and `service`, which the specification reserves, and `os`,
    /// `kubernetes`, `aws`, `gcp` and `azure`.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.1)
    }

    /// The detector of this name; `k8s` is another name of `kubernetes`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "k8s" { "kubernetes" } else { name };
        let found = DETECTORS.into_iter().find(|(_, known, _)| *known == name);
        found.map(|(detector, _, _)| detector)
    }

    /// How an attribute that it found is explained.
    pub(crate) fn origin(self) -> &'static str {
        self.row().map_or("", |row| row.2)
    }

    fn row(self) -> Option<(Self, &'static str, &'static str)> {
        DETECTORS.into_iter().find(|row| row.0 == self)
    }

    /// What there is to find.
    pub(crate) fn detect(self, world: &World) -> Vec<(&'static str, Value<'static>)> {
        let mut found = Found::default();
        match self {
            Self::Service => service(world, &mut found),
            Self::Process => process::detect(world, &mut found),
            Self::Os => os::detect(world, &mut found),
            Self::Host => host::detect(world, &mut found),
            Self::Container => found.put("container.id", container::id(world)),
            Self::Kubernetes => kubernetes::detect(world, &mut found),
            Self::Aws => aws::detect(world, &mut found),
            Self::Gcp => gcp::detect(world, &mut found),
            Self::Azure => azure::detect(world, &mut found),
        }
        found.0
    }
}

/// "If the value was not specified, SDKs MUST fallback to `unknown_service:` concatenated with `process.executable.name`"
/// (semantic conventions, service).
fn service(world: &World, found: &mut Found) {
    let name = match world.executable_name() {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    };
    found.put("service.name", Some(name));
    found.put("service.instance.id", Some(instance_id()));
}

/// What a detector found.
#[derive(Debug, Default)]
struct Found(Vec<(&'static str, Value<'static>)>);

impl Found {
    /// Adds an attribute where there is a value.
    fn put(&mut self, key: &'static str, value: Option<impl Into<Value<'static>>>) {
        if let Some(value) = value {
            self.0.push((key, value.into()));
        }
    }

    /// As [`Found::put`], of a text that is borrowed.
    fn put_text(&mut self, key: &'static str, text: Option<&str>) {
        self.put(key, text.map(str::to_owned));
    }

    fn put_cloud(&mut self, provider: &'static str, platform: &'static str) {
        self.put("cloud.provider", Some(provider));
        self.put("cloud.platform", Some(platform));
    }
}

#[cfg(test)]
mod tests;
