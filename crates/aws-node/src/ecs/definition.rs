//! The task definition of one version of one API.
//!
//! The container runs the node's own binary, which lies on every worker at a place that its hash names; the image only has
//! to have what predictors need. Registering is not idempotent on ECS: a definition says in a tag what is in it, and one
//! that is there already is used again.

use std::path::PathBuf;

use api::replica::{TASK_LISTEN_VARIABLE, TASK_VARIABLE, TaskSpec};
use aws_sdk_ecs::{
    error::BuildError,
    types::{
        Compatibility, ContainerDefinition, HealthCheck, HostVolumeProperties, KeyValuePair, LinuxParameters,
        LogConfiguration, LogDriver, MountPoint, NetworkMode, PortMapping, TaskDefinitionField, TaskDefinitionStatus,
        TransportProtocol, Volume,
    },
};
use operator::engine::{EngineError, Workload};
use serde_json::json;

use super::{
    EcsEngine, Settings,
    failure::failure,
    names::{DEFINITION_TAG, definition_tags, family, hash, is_ours, tag_value},
    sweep::UNKNOWN,
};

/// At which the replica listens in its container, unless a server of the user's wants that port.
const PORT: u16 = 8080;
const OTHER_PORT: u16 = 8081;
/// Name of the container, and part of the names of its log streams.
const CONTAINER: &str = "replica";
/// On workers and in containers alike.
const INSTALLED: &str = "/opt/cortex";
/// Links that a worker makes when it boots, to what it has fetched by hash. A task that is started on a newer worker
/// than its definition was written for finds that worker's binary.
const BINARY: &str = "/opt/cortex/bin/cortex";
const ONNXRUNTIME: &str = "/opt/cortex/bin/libonnxruntime.so";
const VOLUME: &str = "cortex";

/// To be changed with anything below that is a constant, so that old definitions are not used again.
const LAYOUT: u32 = 1;

/// Seconds between two looks, for one look, and how many have to fail.
const HEALTH_INTERVAL: i32 = 5;
const HEALTH_TIMEOUT: i32 = 5;
const HEALTH_RETRIES: i32 = 3;
/// Seconds in which failures do not count: the longest that ECS allows ("HealthCheck", ECS API reference).
const START_PERIOD: i32 = 300;
/// Seconds that a replica which is asked to stop has for its last requests.
const STOP_TIMEOUT: i32 = 120;
/// MiB that a replica without a limit is expected to use.
const MEMORY_RESERVATION: i32 = 256;
/// MiB: less is no limit that Docker takes ("ContainerDefinition", ECS API reference).
const LEAST_MEMORY: u64 = 6;
/// CPU units: less counts as none at all ("ContainerDefinition", ECS API reference).
const LEAST_CPU: u32 = 2;
/// "Amazon ECS service quotas": all containers of a definition together, as JSON.
const MOST_BYTES: usize = 64 * 1024;
/// What is in a definition besides the task, generously.
const OTHER_BYTES: usize = 2 * 1024;

/// What a definition is made from.
pub(super) struct Definition {
    family: String,
    task: String,
    /// In which the replica runs.
    image: String,
    /// At which it listens.
    port: u16,
    cpu: i32,
    /// MiB.
    memory: Option<i32>,
    /// Hash of all that is in it.
    content: String,
}

impl Definition {
    pub(super) fn new(settings: &Settings, workload: &Workload) -> Result<Self, EngineError> {
        let task = TaskSpec {
            api: workload.api.clone(),
            version: workload.version.clone(),
            program: workload.program.clone(),
            region: settings.region.clone(),
            bucket: settings.bucket.clone(),
            bundle: workload.bundle.clone(),
            onnxruntime: PathBuf::from(ONNXRUNTIME),
            mem_bytes: workload.compute.mem_bytes,
            max_replica_concurrency: workload.max_replica_concurrency,
        };
        let task = serde_json::to_string(&task).map_err(|error| EngineError::Failed(error.to_string()))?;
        check_size(&task)?;
        let family = family(settings, &workload.api);
        let cpu = u64::from(workload.compute.cpu_millis) * 1024 / 1000;
        let cpu = i32::try_from(cpu.max(u64::from(LEAST_CPU))).unwrap_or(i32::MAX);
        let memory = workload.compute.mem_bytes.map(|bytes| bytes.div_ceil(1024 * 1024).max(LEAST_MEMORY));
        let memory = memory.map(|mib| i32::try_from(mib).unwrap_or(i32::MAX));
        let Settings { cluster_name, region, log_group, task_role_arn, image, .. } = settings;
        let own = workload.program.container();
        let image = own.and_then(|container| container.image.as_ref()).unwrap_or(image).clone();
        // The user's server has the same network.
        let port = if own.is_some_and(|container| container.port == PORT) { OTHER_PORT } else { PORT };
        let whole =
            json!([LAYOUT, family, task, cpu, memory, cluster_name, region, log_group, task_role_arn, BINARY, image,]);
        Ok(Self { content: hash(&[&whole.to_string()], 64), family, task, image, port, cpu, memory })
    }

    fn container(&self, settings: &Settings, api: &str) -> Result<ContainerDefinition, BuildError> {
        let variable = |name: &str, value: &str| KeyValuePair::builder().name(name).value(value).build();
        let health = HealthCheck::builder()
            .set_command(Some(["CMD", BINARY, "task", "--healthy"].map(str::to_owned).into()))
            .interval(HEALTH_INTERVAL)
            .timeout(HEALTH_TIMEOUT)
            .retries(HEALTH_RETRIES)
            .start_period(START_PERIOD)
            .build()?;
        let log = LogConfiguration::builder()
            .log_driver(LogDriver::Awslogs)
            .options("awslogs-group", &settings.log_group)
            .options("awslogs-region", &settings.region)
            .options("awslogs-stream-prefix", api)
            .build()?;
        // Host port 0: any that is free.
        let port = PortMapping::builder().container_port(self.port.into()).host_port(0);
        let port = port.protocol(TransportProtocol::Tcp).build();
        let container = ContainerDefinition::builder()
            .name(CONTAINER)
            .image(&self.image)
            .essential(true)
            .entry_point(BINARY)
            .command("task")
            .environment(variable(TASK_VARIABLE, &self.task))
            .environment(variable(TASK_LISTEN_VARIABLE, &format!("0.0.0.0:{}", self.port)))
            .environment(variable("AWS_REGION", &settings.region))
            .port_mappings(port)
            .mount_points(MountPoint::builder().source_volume(VOLUME).container_path(INSTALLED).read_only(true).build())
            .health_check(health)
            .stop_timeout(STOP_TIMEOUT)
            .linux_parameters(LinuxParameters::builder().init_process_enabled(true).build())
            .log_configuration(log)
            .cpu(self.cpu);
        Ok(match self.memory {
            Some(mib) => container.memory(mib),
            None => container.memory_reservation(MEMORY_RESERVATION),
        }
        .build())
    }
}

fn check_size(task: &str) -> Result<(), EngineError> {
    // As it is in the definition, with all its quotes escaped.
    let bytes = json!(task).to_string().len();
    if bytes + OTHER_BYTES <= MOST_BYTES {
        return Ok(());
    }
    let most = MOST_BYTES - OTHER_BYTES;
    Err(EngineError::Failed(format!(
        "the predictor's `config` and `env` are too large: {bytes} bytes with all that belongs to them, and Amazon ECS \
         takes {most}; put large values into files of the project"
    )))
}

/// Whether a container's port is a replica's.
pub(super) fn is_replicas(port: Option<i32>) -> bool {
    [PORT, OTHER_PORT].map(i32::from).into_iter().any(|ours| port == Some(ours))
}

impl EcsEngine {
    /// The ARN of a task definition with this content.
    pub(super) async fn ensure_definition(&self, workload: &Workload) -> Result<String, EngineError> {
        let definition = Definition::new(&self.settings, workload)?;
        if let Some(arn) = self.find_definition(&definition).await? {
            return Ok(arn);
        }
        let broken = |error: BuildError| EngineError::Failed(error.to_string());
        let container = definition.container(&self.settings, &workload.api).map_err(broken)?;
        let host = HostVolumeProperties::builder().source_path(INSTALLED).build();
        let tags = definition_tags(&self.settings, &workload.api, &workload.version, &definition.content);
        let reply = self
            .ecs
            .register_task_definition()
            .family(&definition.family)
            .network_mode(NetworkMode::Bridge)
            .requires_compatibilities(Compatibility::Ec2)
            .task_role_arn(&self.settings.task_role_arn)
            .volumes(Volume::builder().name(VOLUME).host(host).build())
            .container_definitions(container)
            .set_tags(Some(tags))
            .send()
            .await
            .map_err(failure("ecs:RegisterTaskDefinition"))?;
        let arn = reply.task_definition.and_then(|definition| definition.task_definition_arn);
        arn.ok_or_else(|| {
            EngineError::Failed("ecs:RegisterTaskDefinition: the reply names no task definition".to_owned())
        })
    }

    /// The latest of the family, if it is this one.
    async fn find_definition(&self, wanted: &Definition) -> Result<Option<String>, EngineError> {
        let request = self.ecs.describe_task_definition().task_definition(&wanted.family);
        let reply = match request.include(TaskDefinitionField::Tags).send().await {
            Ok(reply) => reply,
            Err(error) => {
                let failure = failure("ecs:DescribeTaskDefinition")(error);
                return if failure.code == UNKNOWN { Ok(None) } else { Err(failure.into()) };
            }
        };
        let tags = reply.tags();
        let same = is_ours(&self.settings, tags) && tag_value(tags, DEFINITION_TAG) == Some(&wanted.content);
        let found = reply.task_definition.filter(|found| found.status() == Some(&TaskDefinitionStatus::Active));
        Ok(found.filter(|_| same).and_then(|found| found.task_definition_arn))
    }
}

#[cfg(test)]
mod tests {
    use spec::realtime::{Container, Program};

    use super::{super::tests, *};

    fn env(workload: &mut Workload) -> &mut std::collections::BTreeMap<String, String> {
        &mut workload.program.predictor_mut().expect("a predictor").env
    }

    #[test]
    fn a_server_of_the_users_has_its_image_and_its_port() {
        let mut workload = tests::workload();
        let container = |workload: &Workload| {
            let definition = Definition::new(&tests::settings(), workload).expect("it is small");
            let container = definition.container(&tests::settings(), "iris").expect("it is whole");
            let listen = container.environment().iter().find(|pair| pair.name() == Some(TASK_LISTEN_VARIABLE));
            let listen = listen.and_then(KeyValuePair::value).expect("it is there").to_owned();
            let port = container.port_mappings()[0].container_port();
            assert_eq!(container.entry_point(), ["/opt/cortex/bin/cortex"]);
            (container.image().expect("there is one").to_owned(), port, listen)
        };
        assert_eq!(container(&workload), ("python:3.12-slim".to_owned(), Some(8080), "0.0.0.0:8080".to_owned()));
        workload.program = Program::Container(Container {
            command: vec!["serve".to_owned()],
            image: Some("me/own:1".to_owned()),
            port: 8080,
            env: std::collections::BTreeMap::new(),
            readiness_path: None,
            max_concurrency: 1,
        });
        assert_eq!(container(&workload), ("me/own:1".to_owned(), Some(8081), "0.0.0.0:8081".to_owned()));
        assert!(is_replicas(Some(8081)) && is_replicas(Some(8080)) && !is_replicas(Some(80)) && !is_replicas(None));
    }

    #[test]
    fn memory_and_cpu_are_in_the_units_of_ecs() {
        let mut workload = tests::workload();
        workload.compute.cpu_millis = 1500;
        workload.compute.mem_bytes = Some(100_000_000);
        let definition = Definition::new(&tests::settings(), &workload).expect("it is small");
        assert_eq!((definition.cpu, definition.memory), (1536, Some(96)));
        let container = definition.container(&tests::settings(), "iris").expect("it is whole");
        assert_eq!((container.memory(), container.memory_reservation()), (Some(96), None));
        assert!(definition.task.contains(r#""mem_bytes":100000000"#), "{}", definition.task);
        workload.compute.mem_bytes = None;
        let definition = Definition::new(&tests::settings(), &workload).expect("it is small");
        let container = definition.container(&tests::settings(), "iris").expect("it is whole");
        assert_eq!((container.memory(), container.memory_reservation()), (None, Some(256)));
        assert!(!definition.task.contains("mem_bytes"), "{}", definition.task);
    }

    #[test]
    fn the_container_is_told_all_that_it_needs() {
        let (settings, workload) = (tests::settings(), tests::workload());
        let definition = Definition::new(&settings, &workload).expect("it is small");
        let container = definition.container(&settings, "iris").expect("it is whole");
        assert_eq!(container.entry_point(), ["/opt/cortex/bin/cortex"]);
        let health = container.health_check().expect("there is one").command().join(" ");
        assert_eq!(health, "CMD /opt/cortex/bin/cortex task --healthy");
        let task = container.environment().iter().find(|pair| pair.name() == Some(TASK_VARIABLE));
        let task: TaskSpec =
            serde_json::from_str(task.and_then(KeyValuePair::value).expect("it is there")).expect("a task");
        assert_eq!((task.api.as_str(), task.version.as_str(), task.bucket.as_str()), ("iris", "1", "bucket"));
        assert_eq!(task.onnxruntime, PathBuf::from("/opt/cortex/bin/libonnxruntime.so"));
        assert_eq!(task.program, workload.program);
    }

    #[test]
    fn other_content_has_another_hash() {
        let content = |settings: &Settings, workload: &Workload| {
            Definition::new(settings, workload).expect("it is small").content
        };
        let (settings, workload) = (tests::settings(), tests::workload());
        assert_eq!(content(&settings, &workload), content(&settings, &workload));
        let other = Settings { image: "python:3.13-slim".to_owned(), ..tests::settings() };
        assert_ne!(content(&settings, &workload), content(&other, &workload));
        let other = Workload { version: "2".to_owned(), ..tests::workload() };
        assert_ne!(content(&settings, &workload), content(&settings, &other));
    }

    #[test]
    fn what_ecs_would_not_take_is_refused_clearly() {
        let mut workload = tests::workload();
        env(&mut workload).insert("LARGE".to_owned(), "x".repeat(61 * 1024));
        assert!(Definition::new(&tests::settings(), &workload).is_ok());
        env(&mut workload).insert("LARGE".to_owned(), "\"".repeat(40 * 1024));
        let Err(error) = Definition::new(&tests::settings(), &workload) else { panic!("it is too large") };
        assert!(error.to_string().contains("`config` and `env` are too large"), "{error}");
    }
}
