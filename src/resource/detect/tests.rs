use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::resource::tests::Tree;

const ID: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const UID: &str = "0c3f2d1e-1111-4222-8333-abcdefabcdef";
const POD: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn found(
    detector: Detector,
    files: Pairs<'_>,
    variables: Pairs<'_>,
) -> HashMap<&'static str, Value<'static>> {
    let tree = Tree::new(files);
    let found = detector.detect(&tree.world(variables));
    let count = found.len();
    let map: HashMap<_, _> = found.into_iter().collect();
    assert_eq!(map.len(), count, "a key comes once");
    map
}

fn same(found: &HashMap<&'static str, Value<'static>>, expected: Pairs<'_>) {
    let texts = |(key, value): (&&'static str, &Value<'static>)| {
        let text = match value {
            Value::Str(text) => text.clone().into_owned(),
            Value::Int(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        ((*key).to_owned(), text)
    };
    let mut found: Vec<_> = found.iter().map(texts).collect();
    found.sort();
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let mut expected: Vec<_> = expected.iter().map(owned).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn spec_9_11_a_detector_that_finds_nothing_is_no_error_and_adds_nothing() {
    for detector in [
        Detector::Container,
        Detector::Kubernetes,
        Detector::Aws,
        Detector::Gcp,
        Detector::Azure,
    ] {
        same(&found(detector, &[], &[]), &[]);
    }
    // What is compiled in is known everywhere.
    assert_eq!(found(Detector::Host, &[], &[]).len(), 1);
    assert_eq!(found(Detector::Os, &[], &[]).len(), 1);
}

#[test]
fn spec_9_12_the_reserved_names_are_known() {
    let reserved = [
        ("container", Detector::Container),
        ("host", Detector::Host),
        ("process", Detector::Process),
        ("service", Detector::Service),
    ];
    for (name, detector) in reserved {
        assert_eq!(Detector::from_name(name), Some(detector));
        assert_eq!(detector.name(), name);
    }
    assert_eq!(Detector::from_name("k8s"), Some(Detector::Kubernetes));
    assert_eq!(Detector::from_name("Host"), None);
    for detector in Detector::all() {
        assert_eq!(Detector::from_name(detector.name()), Some(detector));
        assert_eq!(detector.origin(), format!("detector {}", detector.name()));
    }
}

#[test]
fn spec_9_2_a_service_without_a_name_is_named_after_its_executable() {
    let mut world = Tree::new(&[]).world(&[]);
    let name = |world: &World| Detector::Service.detect(world).first().cloned();
    let expected = ("service.name", "unknown_service:checkout".into());
    assert_eq!(name(&world), Some(expected));
    world.executable = None;
    assert_eq!(
        name(&world),
        Some(("service.name", "unknown_service".into()))
    );
}

#[test]
fn spec_9_13_the_service_detector_sets_an_instance_id() {
    let found = found(Detector::Service, &[], &[]);
    assert_eq!(found["service.instance.id"], instance_id().into());
}

#[test]
fn spec_9_14_a_process_is_described_without_its_command_line() {
    let files = [
        ("/proc/self/status", "Name:\tx\nUid:\t0\t1000\t0\t0\n"),
        (
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nshop:x:1000:1000::/:/bin/sh\n",
        ),
        ("/proc/self/cmdline", "checkout\0--password=canary\0"),
    ];
    let found = found(Detector::Process, &files, &[("USER", "other")]);
    same(
        &found,
        &[
            ("process.pid", &std::process::id().to_string()),
            ("process.executable.name", "checkout"),
            ("process.executable.path", "/opt/shop/checkout"),
            ("process.owner", "shop"),
        ],
    );
    for (key, value) in &found {
        assert!(!key.contains("command") && !format!("{value:?}").contains("canary"));
    }
}

#[test]
fn the_owner_is_not_guessed_where_the_user_is_known_by_number_alone() {
    let owner = |files: Pairs<'_>, variables: Pairs<'_>| {
        found(Detector::Process, files, variables).remove("process.owner")
    };
    let status = ("/proc/self/status", "Uid:\t7\t7\t7\t7\n");
    assert_eq!(owner(&[status], &[("USER", "a")]), None);
    let passwd = ("/etc/passwd", "nonsense\n:x:7:\n::\nb:x:70:70\n");
    assert_eq!(owner(&[status, passwd], &[]), None);
    assert_eq!(owner(&[], &[("USERNAME", "a")]), Some("a".into()));
}

#[test]
fn a_host_has_a_name_an_architecture_and_an_id() {
    let arch = ("host.arch", host::arch(std::env::consts::ARCH));
    let id = "fdbf79e8af94cb7f9e8df36789187052";
    let files = [
        ("/proc/sys/kernel/hostname", "web-1\n"),
        ("/etc/hostname", "other\n"),
        ("/etc/machine-id", "uninitialized\n"),
        (
            "/var/lib/dbus/machine-id",
            "fdbf79e8af94cb7f9e8df36789187052\n",
        ),
    ];
    if cfg!(target_os = "linux") {
        let expected = [("host.name", "web-1"), arch, ("host.id", id)];
        same(&found(Detector::Host, &files, &[]), &expected);
    }
    let files = [("/etc/hostname", "# comment\n\nweb-2\n")];
    same(
        &found(Detector::Host, &files, &[]),
        &[("host.name", "web-2"), arch],
    );
    let variables = [("HOSTNAME", "web-3")];
    same(
        &found(Detector::Host, &[], &variables),
        &[("host.name", "web-3"), arch],
    );
    assert_eq!(host::arch("x86_64"), "amd64");
    assert_eq!(host::arch("aarch64"), "arm64");
    assert_eq!(host::arch("riscv64"), "riscv64");
}

#[test]
fn in_a_container_the_machine_id_is_not_the_hosts() {
    let cgroup = format!("0::/docker/{ID}\n");
    let files = [
        ("/etc/machine-id", "fdbf79e8af94cb7f9e8df36789187052\n"),
        ("/proc/self/cgroup", cgroup.as_str()),
    ];
    assert!(!found(Detector::Host, &files, &[]).contains_key("host.id"));
    assert!(!found(Detector::Host, &files[..1], &[POD]).contains_key("host.id"));
}

#[test]
fn an_operating_system_is_read_from_its_release_file() {
    let kind = ("os.type", os::os_type(std::env::consts::OS));
    let release =
        "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nPRETTY_NAME=\"A \\\"b\\\" \\$\"\nBUILD_ID=\n";
    let files = [
        ("/etc/os-release", release),
        ("/usr/lib/os-release", "NAME=Other\n"),
        ("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n"),
    ];
    let expected = [
        kind,
        ("os.name", "Debian GNU/Linux"),
        ("os.version", "12"),
        ("os.description", "A \"b\" $"),
        ("os.build_id", "6.1.0-13-amd64"),
    ];
    same(&found(Detector::Os, &files, &[]), &expected);
    let files = [("/usr/lib/os-release", "ID=x\nNAME=Arch\nBUILD_ID=rolling")];
    let expected = [kind, ("os.name", "Arch"), ("os.build_id", "rolling")];
    same(&found(Detector::Os, &files, &[]), &expected);
    assert_eq!(os::os_type("macos"), "darwin");
    assert_eq!(os::os_type("dragonfly"), "dragonflybsd");
}

fn container(cgroup: &str, mountinfo: &str, variables: Pairs<'_>) -> Option<String> {
    let files = [
        ("/proc/self/cgroup", cgroup),
        ("/proc/self/mountinfo", mountinfo),
    ];
    let tree = Tree::new(&files);
    container::id(&tree.world(variables))
}

#[test]
fn a_container_is_found_by_its_cgroup() {
    let paths = [
        format!("/docker/{ID}"),
        format!("/docker/{OTHER}/kubelet/kubepods/burstable/pod{UID}/{ID}"),
        format!("/docker/{ID}/init.scope"),
        format!("/system.slice/docker-{ID}.scope"),
        format!("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope"),
        format!("/kubepods/besteffort/pod{UID}/crio-{ID}"),
        format!("/kubepods.slice/crio-{ID}.scope/container"),
        format!("/machine.slice/libpod-{ID}.scope"),
        format!("/machine.slice/libpod-{ID}.scope/container"),
        format!("/user.slice/user-1000.slice/libpod-{ID}.scope"),
        format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"),
        format!("/ecs/cd189a933e5849daa93386466019ab50/{ID}"),
    ];
    for path in paths {
        let lines = [
            format!("0::{path}\n"),
            format!("12:memory:{path}\n1:name=systemd:{path}\n"),
            format!("11:cpu:/\n3:pids:{path}\n"),
        ];
        for cgroup in lines {
            assert_eq!(container(&cgroup, "", &[]).as_deref(), Some(ID), "{cgroup}");
        }
    }
}

#[test]
fn what_is_no_containers_cgroup_gives_no_id() {
    let upper = ID.to_uppercase();
    let none = [
        String::new(),
        "0::/".to_owned(),
        "0::/user.slice/user-1000.slice/session-3.scope".to_owned(),
        format!("0::/docker/{}", &ID[1..]),
        format!("0::/docker/{ID}0"),
        format!("0::/docker/{upper}"),
        format!("0::/machine.slice/libpod-conmon-{ID}.scope"),
        format!("0::/kubepods.slice/crio-conmon-{ID}.scope"),
        ID.to_owned(),
    ];
    for cgroup in none {
        assert_eq!(container(&cgroup, "", &[]), None, "{cgroup}");
    }
}

fn mount(root: &str, point: &str) -> String {
    format!("1 2 8:1 {root} {point} rw,relatime - ext4 /dev/sda1 rw\n")
}

#[test]
fn a_container_is_found_by_what_its_runtime_mounts() {
    let docker = mount(
        &format!("/var/lib/docker/containers/{ID}/hostname"),
        "/etc/hostname",
    );
    let podman = format!("/containers/storage/overlay-containers/{ID}/userdata/hostname");
    let podman = mount(&podman, "/etc/hostname");
    let crio = format!("/overlay-containers/{ID}/userdata/.containerenv");
    let crio = mount(&crio, "/run/.containerenv");
    let sandbox = mount(
        &format!("/var/lib/docker/containers/{OTHER}/hostname"),
        "/etc/hostname",
    );
    let cgroup =
        format!("3 2 0:1 /system.slice/docker-{ID}.scope /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    for mountinfo in [
        &docker,
        &podman,
        &crio,
        &cgroup,
        &format!("{sandbox}{crio}"),
    ] {
        let found = container("0::/\n", mountinfo, &[]);
        assert_eq!(found.as_deref(), Some(ID), "{mountinfo}");
    }
    // In a pod, `/etc/hostname` belongs to the sandbox.
    assert_eq!(container("0::/\n", &sandbox, &[POD]), None);
    assert_eq!(
        container("", &format!("{sandbox}{crio}"), &[POD]).as_deref(),
        Some(ID)
    );
    let containerd = format!("/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname");
    for other in [mount(&containerd, "/etc/hostname"), mount("/x", "/y")] {
        assert_eq!(container("", &other, &[]), None, "{other}");
    }
}

#[test]
fn a_pod_is_described_by_the_downward_api() {
    let variables = [
        POD,
        ("K8S_CLUSTER_NAME", "c"),
        ("POD_NAMESPACE", "n"),
        ("POD_NAME", "p"),
        ("HOSTNAME", "h"),
        ("K8S_POD_UID", "u"),
        ("NODE_NAME", "node"),
        ("CONTAINER_NAME", "main"),
        ("K8S_DEPLOYMENT_NAME", "d"),
        ("K8S_CRONJOB_NAME", "cron"),
    ];
    let expected = [
        ("k8s.cluster.name", "c"),
        ("k8s.namespace.name", "n"),
        ("k8s.pod.name", "p"),
        ("k8s.pod.uid", "u"),
        ("k8s.node.name", "node"),
        ("k8s.container.name", "main"),
        ("k8s.deployment.name", "d"),
        ("k8s.cronjob.name", "cron"),
    ];
    same(&found(Detector::Kubernetes, &[], &variables), &expected);
    // Outside of a pod, such names say nothing.
    same(&found(Detector::Kubernetes, &[], &variables[1..]), &[]);
}

#[test]
fn a_pod_is_described_by_what_the_kubelet_mounts() {
    let log = format!("/var/lib/kubelet/pods/{UID}/containers/main/0a1b2c3d");
    let mountinfo = mount(&log, "/dev/termination-log");
    let files = [
        (kubernetes::NAMESPACE, "shop\n"),
        ("/proc/self/mountinfo", mountinfo.as_str()),
    ];
    let expected = [
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "shop-1"),
        ("k8s.pod.uid", UID),
        ("k8s.container.name", "main"),
    ];
    let variables = [("HOSTNAME", "shop-1")];
    same(&found(Detector::Kubernetes, &files, &variables), &expected);
}

#[test]
fn a_pods_uid_stands_in_its_cgroup() {
    let underscores = UID.replace('-', "_");
    let paths = [
        (format!("/kubepods/burstable/pod{UID}/{ID}"), UID),
        (
            format!("/kubepods.slice/kubepods-pod{underscores}.slice/crio-{ID}.scope"),
            UID,
        ),
        (
            format!("/kubepods-burstable-pod{underscores}.slice:cri-containerd:{ID}"),
            UID,
        ),
        (format!("/kubepods/pod{}/{ID}", &ID[..32]), &ID[..32]),
    ];
    for (path, uid) in paths {
        let cgroup = format!("0::{path}\n");
        let found = found(
            Detector::Kubernetes,
            &[("/proc/self/cgroup", &cgroup)],
            &[POD],
        );
        same(&found, &[("k8s.pod.uid", uid)]);
    }
    let files = [("/proc/self/cgroup", "0::/kubepods/podcast/pod1\n")];
    same(&found(Detector::Kubernetes, &files, &[POD]), &[]);
}

#[test]
fn aws_is_known_by_its_platforms() {
    let region = ("AWS_REGION", "eu-west-1");
    let lambda = [
        region,
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
    ];
    let group = format!("{:?}", Value::Array(vec!["/aws/lambda/f".into()]));
    let stream = format!("{:?}", Value::Array(vec!["s".into()]));
    let expected = [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_lambda"),
        ("cloud.region", "eu-west-1"),
        ("faas.name", "f"),
        ("faas.version", "$LATEST"),
        ("faas.instance", "s"),
        ("faas.max_memory", "134217728"),
        ("aws.log.group.names", &group),
        ("aws.log.stream.names", &stream),
    ];
    same(&found(Detector::Aws, &[], &lambda), &expected);
    let ecs = [
        ("ECS_CONTAINER_METADATA_URI", "http://169.254.170.2/v3/x"),
        ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"),
    ];
    let expected = [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_ecs"),
        ("aws.ecs.launchtype", "fargate"),
    ];
    same(&found(Detector::Aws, &[], &ecs), &expected);
    let token = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
    let eks = [POD, ("AWS_WEB_IDENTITY_TOKEN_FILE", token), region];
    let expected = [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_eks"),
        ("cloud.region", "eu-west-1"),
    ];
    same(&found(Detector::Aws, &[], &eks), &expected);
    // A region alone is in every shell of someone who works with AWS.
    same(&found(Detector::Aws, &[], &[region]), &[]);
}

#[test]
fn elastic_beanstalk_is_known_by_its_file() {
    let file =
        r#"{"version_label" : "app-\"1\"", "environment_name":"shop-prod","deployment_id":32}"#;
    let files = [("/var/elasticbeanstalk/xray/environment.conf", file)];
    let expected = [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_elastic_beanstalk"),
        ("service.namespace", "shop-prod"),
        ("service.version", "app-\"1\""),
    ];
    same(&found(Detector::Aws, &files, &[]), &expected);
    for wrong in [
        "",
        "\"k\"",
        "\"k\":",
        "\"k\":1",
        "\"k\":\"a",
        "\"k\":\"\\u0041\"",
        "\"k\":\"\"",
    ] {
        assert_eq!(aws::json_text(wrong, "k"), None, "{wrong}");
    }
}

#[test]
fn gcp_is_known_by_its_platforms() {
    let run = [
        ("K_SERVICE", "s"),
        ("K_REVISION", "s-1"),
        ("K_CONFIGURATION", "s"),
    ];
    let expected = |platform| {
        [
            ("cloud.provider", "gcp"),
            ("cloud.platform", platform),
            ("faas.name", "s"),
            ("faas.version", "s-1"),
        ]
    };
    same(&found(Detector::Gcp, &[], &run), &expected("gcp_cloud_run"));
    let function = [run[0], run[1], ("FUNCTION_TARGET", "hello")];
    same(
        &found(Detector::Gcp, &[], &function),
        &expected("gcp_cloud_functions"),
    );
    // Knative.
    same(&found(Detector::Gcp, &[], &[run[0], run[1], POD]), &[]);
    let job = [
        ("CLOUD_RUN_JOB", "j"),
        ("CLOUD_RUN_EXECUTION", "j-x"),
        ("CLOUD_RUN_TASK_INDEX", "0"),
    ];
    let expected = [
        ("cloud.provider", "gcp"),
        ("cloud.platform", "gcp_cloud_run"),
        ("faas.name", "j"),
        ("gcp.cloud_run.job.execution", "j-x"),
        ("gcp.cloud_run.job.task_index", "0"),
    ];
    same(&found(Detector::Gcp, &[], &job), &expected);
    let engine = [
        ("GAE_SERVICE", "default"),
        ("GAE_VERSION", "2"),
        ("GAE_INSTANCE", "i"),
        ("GOOGLE_CLOUD_PROJECT", "shop"),
    ];
    let expected = [
        ("cloud.provider", "gcp"),
        ("cloud.platform", "gcp_app_engine"),
        ("cloud.account.id", "shop"),
        ("faas.name", "default"),
        ("faas.version", "2"),
        ("faas.instance", "i"),
    ];
    same(&found(Detector::Gcp, &[], &engine), &expected);
    let product = [("/sys/class/dmi/id/product_name", "Google Compute Engine\n")];
    let expected = [
        ("cloud.provider", "gcp"),
        ("cloud.platform", "gcp_kubernetes_engine"),
    ];
    same(&found(Detector::Gcp, &product, &[POD]), &expected);
    same(&found(Detector::Gcp, &product, &[engine[3]]), &[]);
}

#[test]
fn azure_is_known_by_its_platforms() {
    let site = [
        ("WEBSITE_SITE_NAME", "shop"),
        ("REGION_NAME", "West Europe"),
        ("WEBSITE_SLOT_NAME", "Production"),
        ("WEBSITE_RESOURCE_GROUP", "g"),
        ("WEBSITE_OWNER_NAME", "sub+g-WestEuropewebspace-Linux"),
        ("WEBSITE_INSTANCE_ID", "i"),
        ("WEBSITE_MEMORY_LIMIT_MB", "1536"),
    ];
    let of_both = [
        ("cloud.provider", "azure"),
        ("service.name", "shop"),
        ("cloud.region", "West Europe"),
        ("cloud.account.id", "sub"),
        ("deployment.environment.name", "Production"),
    ];
    let id = "/subscriptions/sub/resourceGroups/g/providers/Microsoft.Web/sites/shop";
    let of_app = [
        ("cloud.platform", "azure.app_service"),
        ("cloud.resource_id", id),
    ];
    let expected = [&of_both[..], &of_app].concat();
    same(&found(Detector::Azure, &[], &site), &expected);
    let of_functions = [
        ("cloud.platform", "azure.functions"),
        ("faas.instance", "i"),
        ("faas.max_memory", "1610612736"),
    ];
    let expected = [&of_both[..], &of_functions].concat();
    let functions = [&site[..], &[("FUNCTIONS_EXTENSION_VERSION", "~4")]].concat();
    same(&found(Detector::Azure, &[], &functions), &expected);
    let app = [
        ("CONTAINER_APP_NAME", "a"),
        ("CONTAINER_APP_REVISION", "a--1"),
        ("CONTAINER_APP_REPLICA_NAME", "a--1-x"),
    ];
    let expected = [
        ("cloud.provider", "azure"),
        ("cloud.platform", "azure.container_apps"),
        ("service.name", "a"),
        ("azure.container_app.instance.id", "a--1-x"),
        ("azure.container_app.revision.name", "a--1"),
    ];
    same(&found(Detector::Azure, &[], &app), &expected);
}

/// The only test that looks at the machine it runs on.
#[test]
fn every_detector_gets_along_with_this_machine() {
    let world = World::of_process();
    for detector in Detector::all() {
        for (key, value) in detector.detect(&world) {
            assert!(!key.is_empty() && value != "".into(), "{key} = {value:?}");
        }
    }
    let executable = std::env::current_exe().unwrap();
    let name = executable.file_name().unwrap().to_string_lossy();
    assert_eq!(world.executable_name(), Some(name.into_owned()));
}

proptest! {
    /// Whatever a file or a variable says, a detector ends, and gives no empty text.
    #[test]
    fn no_file_and_no_variable_does_harm(
        text in "(?s).{0,60}|[ -~\\n]{0,80}|([0-9a-f]{64}|/|pods|containers|-|:|\\n| |docker){0,20}",
        number in proptest::num::i64::ANY,
    ) {
        let files = [
            "/proc/self/cgroup", "/proc/self/mountinfo", "/proc/self/status", "/etc/passwd", "/etc/os-release",
            "/etc/hostname", "/etc/machine-id", "/var/elasticbeanstalk/xray/environment.conf",
        ];
        let files = files.map(|file| (file, text.as_str()));
        let number = number.to_string();
        let names = [
            "AWS_LAMBDA_FUNCTION_NAME", "WEBSITE_SITE_NAME", "WEBSITE_OWNER_NAME", "CLOUD_RUN_JOB", "HOSTNAME",
            "KUBERNETES_SERVICE_HOST",
        ];
        let mut variables: Vec<_> = names.map(|name| (name, text.as_str())).to_vec();
        variables.push(("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &number));
        variables.push(("CLOUD_RUN_TASK_INDEX", &number));
        for detector in Detector::all() {
            for (key, value) in found(detector, &files, &variables) {
                prop_assert!(value != "".into(), "{} is empty", key);
            }
        }
    }
}
