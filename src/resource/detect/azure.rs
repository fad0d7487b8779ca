//! Microsoft Azure (semantic conventions, cloud, faas and azure): what variables tell.

use super::Found;
use crate::resource::World;

pub(super) fn detect(world: &World, found: &mut Found) {
    let variable = |name| world.variable(name);
    let app = ["CONTAINER_APP_NAME", "CONTAINER_APP_JOB_NAME"];
    if let Some(name) = world.any_variable(&app) {
        found.put_cloud("azure", "azure.container_apps");
        found.put_text("service.name", Some(name));
        let replica = variable("CONTAINER_APP_REPLICA_NAME");
        found.put_text("azure.container_app.instance.id", replica);
        let revision = variable("CONTAINER_APP_REVISION");
        found.put_text("azure.container_app.revision.name", revision);
        return;
    }
    let Some(site) = variable("WEBSITE_SITE_NAME") else {
        return;
    };
    let functions = ["FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME"];
    if world.any_variable(&functions).is_some() {
        // "Azure: the full name <FUNCAPP>/<FUNC> [...] means that a span attribute MUST be used": no faas.name here, and
        // neither the function's resource id.
        found.put_cloud("azure", "azure.functions");
        found.put_text("faas.instance", variable("WEBSITE_INSTANCE_ID"));
        let memory = world.integer("WEBSITE_MEMORY_LIMIT_MB");
        found.put(
            "faas.max_memory",
            memory.and_then(|mib| mib.checked_mul(1 << 20)),
        );
    } else {
        found.put_cloud("azure", "azure.app_service");
        found.put("cloud.resource_id", resource_id(world, site));
    }
    found.put_text("service.name", Some(site));
    found.put_text("cloud.region", variable("REGION_NAME"));
    found.put_text("cloud.account.id", subscription(world));
    found.put_text("deployment.environment.name", variable("WEBSITE_SLOT_NAME"));
}

/// What the owner's name begins with: `<subscription>+<group>-<region>webspace`.
fn subscription(world: &World) -> Option<&str> {
    let (subscription, _) = world.variable("WEBSITE_OWNER_NAME")?.split_once('+')?;
    (!subscription.is_empty()).then_some(subscription)
}

fn resource_id(world: &World, site: &str) -> Option<String> {
    let subscription = subscription(world)?;
    let group = world.variable("WEBSITE_RESOURCE_GROUP")?;
    Some(format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}"
    ))
}
