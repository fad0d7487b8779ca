//! Google Cloud (semantic conventions, cloud, faas and gcp): what variables tell.

use super::Found;
use super::kubernetes;
use crate::resource::World;

pub(super) fn detect(world: &World, found: &mut Found) {
    let variable = |name| world.variable(name);
    let is_pod = kubernetes::is_pod(world);
    if let Some(service) = variable("GAE_SERVICE") {
        found.put_cloud("gcp", "gcp_app_engine");
        found.put_text("faas.name", Some(service));
        found.put_text("faas.version", variable("GAE_VERSION"));
        found.put_text("faas.instance", variable("GAE_INSTANCE"));
    } else if let Some(job) = variable("CLOUD_RUN_JOB") {
        found.put_cloud("gcp", "gcp_cloud_run");
        found.put_text("faas.name", Some(job));
        found.put_text(
            "gcp.cloud_run.job.execution",
            variable("CLOUD_RUN_EXECUTION"),
        );
        let task = world.integer("CLOUD_RUN_TASK_INDEX");
        found.put("gcp.cloud_run.job.task_index", task);
    // Knative has the same variables on any cluster.
    } else if let (Some(service), false) = (variable("K_SERVICE"), is_pod) {
        let is_function = world.any_variable(&["FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"]);
        let platform = is_function.map_or("gcp_cloud_run", |_| "gcp_cloud_functions");
        found.put_cloud("gcp", platform);
        found.put_text("faas.name", Some(service));
        found.put_text("faas.version", variable("K_REVISION"));
        found.put_text("cloud.region", variable("FUNCTION_REGION"));
    } else if is_pod && is_compute_engine(world) {
        found.put_cloud("gcp", "gcp_kubernetes_engine");
    } else {
        return;
    }
    let project = world.any_variable(&["GOOGLE_CLOUD_PROJECT", "GCP_PROJECT"]);
    found.put_text("cloud.account.id", project);
}

fn is_compute_engine(world: &World) -> bool {
    let product = world.line("/sys/class/dmi/id/product_name");
    product.is_some_and(|name| name == "Google Compute Engine" || name == "Google")
}
