//! Amazon Web Services (semantic conventions, cloud, faas and aws): what variables and files tell.

use super::Found;
use super::kubernetes;
use crate::model::Value;
use crate::resource::World;

/// What Elastic Beanstalk writes for its X-Ray daemon.
const BEANSTALK: &str = "/var/elasticbeanstalk/xray/environment.conf";

pub(super) fn detect(world: &World, found: &mut Found) {
    let ecs = [
        "ECS_CONTAINER_METADATA_URI_V4",
        "ECS_CONTAINER_METADATA_URI",
    ];
    if world.variable("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        lambda(world, found);
    } else if world.any_variable(&ecs).is_some() {
        found.put_cloud("aws", "aws_ecs");
        found.put("aws.ecs.launchtype", launch_type(world));
    } else if is_eks(world) {
        found.put_cloud("aws", "aws_eks");
    } else if let Some(file) = world.read(BEANSTALK) {
        found.put_cloud("aws", "aws_elastic_beanstalk");
        found.put("service.namespace", json_text(&file, "environment_name"));
        found.put("service.version", json_text(&file, "version_label"));
    } else {
        return;
    }
    let region = world.any_variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    found.put_text("cloud.region", region);
}

fn lambda(world: &World, found: &mut Found) {
    let variable = |name| world.variable(name);
    found.put_cloud("aws", "aws_lambda");
    found.put_text("faas.name", variable("AWS_LAMBDA_FUNCTION_NAME"));
    found.put_text("faas.version", variable("AWS_LAMBDA_FUNCTION_VERSION"));
    found.put_text("faas.instance", variable("AWS_LAMBDA_LOG_STREAM_NAME"));
    let memory = world.integer("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    // MiB there, bytes here.
    found.put(
        "faas.max_memory",
        memory.and_then(|mib| mib.checked_mul(1 << 20)),
    );
    let list = |text: &str| Value::Array(vec![text.to_owned().into()]);
    let group = variable("AWS_LAMBDA_LOG_GROUP_NAME").map(list);
    found.put("aws.log.group.names", group);
    let stream = variable("AWS_LAMBDA_LOG_STREAM_NAME").map(list);
    found.put("aws.log.stream.names", stream);
}

fn launch_type(world: &World) -> Option<&'static str> {
    match world.variable("AWS_EXECUTION_ENV")? {
        "AWS_ECS_FARGATE" => Some("fargate"),
        "AWS_ECS_EC2" => Some("ec2"),
        _ => None,
    }
}

/// A pod with a role has the path of its token, which names EKS: of IRSA or of Pod Identity. The token itself is not read.
fn is_eks(world: &World) -> bool {
    let paths = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    let mut paths = paths.into_iter().filter_map(|name| world.variable(name));
    kubernetes::is_pod(world) && paths.any(|path| path.contains("eks.amazonaws.com"))
}

/// The text behind a key, out of JSON that is flat.
pub(super) fn json_text(json: &str, key: &str) -> Option<String> {
    let (_, behind) = json.split_once(&format!("\"{key}\""))?;
    let behind = behind.trim_start().strip_prefix(':')?.trim_start();
    let mut characters = behind.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return (!text.is_empty()).then_some(text),
            '\\' => match characters.next()? {
                c @ ('"' | '\\' | '/') => text.push(c),
                _ => return None,
            },
            c => text.push(c),
        }
    }
}
