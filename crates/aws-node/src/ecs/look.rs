//! Asking ECS what there is: one burst of descriptions, as few calls as it takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aws_sdk_ecs::{
    primitives::DateTime,
    types::{self, DeploymentRolloutState, DesiredStatus, HealthStatus, ServiceField, TaskStopCode},
};
use futures_util::future::try_join_all;

use super::{
    EcsEngine, Settings,
    definition::is_replicas,
    failure::{Failure, failure},
    names::{ADDRESS_ATTRIBUTE, API_TAG, VERSION_TAG, is_ours, last_part, tag_value},
    picture::{End, GivenUp, Health, Picture, Service, Stage, Status, Task},
};

/// "DescribeServices", ECS API reference.
const SERVICES_AT_ONCE: usize = 10;
/// "DescribeTasks" and "DescribeContainerInstances", ECS API reference.
const TASKS_AT_ONCE: usize = 100;

impl EcsEngine {
    /// What there is now, or was not longer ago than that.
    pub(super) async fn look(&self, age: Duration) -> Result<Picture, Failure> {
        // Whoever asks at the same time gets the same answer, however long it takes.
        let asked_at = Instant::now();
        let _one = self.looking.lock().await;
        if let Some(picture) = self.memory.younger_than(age, asked_at) {
            return Ok(picture);
        }
        let (begin, changes) = (Instant::now(), self.memory.changes());
        let known = self.memory.picture().unwrap_or_default();
        let services = self.services(&known).await?;
        let tasks = if services.is_empty() { BTreeMap::new() } else { self.tasks(&services).await? };
        let addresses = self.addresses(&tasks, known.addresses).await?;
        Ok(self.memory.keep(Picture { services, tasks, addresses }, begin, changes))
    }

    /// Those that are listed, and those that were there before or have just been made: lists lag behind.
    async fn services(&self, known: &Picture) -> Result<BTreeMap<String, Service>, Failure> {
        let listed = self.ecs.list_services().cluster(&self.settings.ecs_cluster).max_results(100);
        let pages = listed.into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let arns = pages.await.map_err(failure("ecs:ListServices"))?;
        let mut names: BTreeSet<&str> = arns.iter().map(|arn| last_part(arn)).collect();
        names.extend(known.services.keys().map(String::as_str));
        let names: Vec<&str> = names.into_iter().collect();
        let batches = try_join_all(names.chunks(SERVICES_AT_ONCE).map(|batch| self.describe_services(batch))).await?;
        let ours = batches.iter().flatten().filter_map(|service| read_service(&self.settings, service));
        let there = ours.filter(|service| service.status != Status::Inactive);
        Ok(there.map(|service| (service.name.clone(), service)).collect())
    }

    pub(super) async fn describe_services(&self, names: &[&str]) -> Result<Vec<types::Service>, Failure> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let request = self.ecs.describe_services().cluster(&self.settings.ecs_cluster).set_services(Some(names));
        let reply = request.include(ServiceField::Tags).send().await.map_err(failure("ecs:DescribeServices"))?;
        Ok(reply.services.unwrap_or_default())
    }

    async fn tasks(&self, services: &BTreeMap<String, Service>) -> Result<BTreeMap<String, Task>, Failure> {
        let (running, stopping) =
            tokio::try_join!(self.list_tasks(DesiredStatus::Running), self.list_tasks(DesiredStatus::Stopped))?;
        let mut stopped = self.memory.stopped();
        stopped.retain(|arn, _| stopping.contains(arn));
        let unknown: Vec<String> =
            running.into_iter().chain(stopping).filter(|arn| !stopped.contains_key(arn)).collect();
        let batches = try_join_all(unknown.chunks(TASKS_AT_ONCE).map(|batch| self.describe_tasks(batch))).await?;
        let mut tasks = Vec::new();
        for described in batches.iter().flatten() {
            let task = read_task(described).filter(|task| services.contains_key(&task.service));
            if let (Some("STOPPED"), Some(arn)) = (described.last_status(), described.task_arn()) {
                stopped.insert(arn.to_owned(), task);
            } else {
                tasks.extend(task);
            }
        }
        tasks.extend(stopped.values().flatten().cloned());
        self.memory.set_stopped(stopped);
        Ok(tasks.into_iter().map(|task| (task.id.clone(), task)).collect())
    }

    async fn list_tasks(&self, status: DesiredStatus) -> Result<Vec<String>, Failure> {
        let request = self.ecs.list_tasks().cluster(&self.settings.ecs_cluster).desired_status(status);
        let pages = request.max_results(100).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(failure("ecs:ListTasks"))
    }

    async fn describe_tasks(&self, arns: &[String]) -> Result<Vec<types::Task>, Failure> {
        let request = self.ecs.describe_tasks().cluster(&self.settings.ecs_cluster).set_tasks(Some(arns.to_vec()));
        Ok(request.send().await.map_err(failure("ecs:DescribeTasks"))?.tasks.unwrap_or_default())
    }

    /// A node says its address when it registers and keeps it, so each is asked about once.
    async fn addresses(
        &self,
        tasks: &BTreeMap<String, Task>,
        mut known: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let used: BTreeSet<&String> = tasks.values().filter_map(|task| task.instance.as_ref()).collect();
        known.retain(|arn, _| used.contains(arn));
        let living = tasks.values().filter(|task| task.stage != Stage::Stopped);
        let new: BTreeSet<&String> = living.filter_map(|task| task.instance.as_ref()).collect();
        let new: Vec<String> = new.into_iter().filter(|&arn| !known.contains_key(arn)).cloned().collect();
        let batches = try_join_all(new.chunks(TASKS_AT_ONCE).map(|batch| self.describe_instances(batch))).await?;
        for instance in batches.into_iter().flatten() {
            let mut attributes = instance.attributes().iter();
            let address = attributes.find(|attribute| attribute.name() == ADDRESS_ATTRIBUTE);
            if let (Some(arn), Some(address)) = (instance.container_instance_arn(), address.and_then(|a| a.value())) {
                known.insert(arn.to_owned(), address.to_owned());
            }
        }
        Ok(known)
    }

    async fn describe_instances(&self, arns: &[String]) -> Result<Vec<types::ContainerInstance>, Failure> {
        let request = self.ecs.describe_container_instances().cluster(&self.settings.ecs_cluster);
        let reply = request.set_container_instances(Some(arns.to_vec())).send().await;
        Ok(reply.map_err(failure("ecs:DescribeContainerInstances"))?.container_instances.unwrap_or_default())
    }
}

/// None if it is not ours.
pub(super) fn read_service(settings: &Settings, service: &types::Service) -> Option<Service> {
    let tags = service.tags();
    if !is_ours(settings, tags) {
        return None;
    }
    let deployments = service.deployments();
    let primary = deployments.iter().find(|deployment| deployment.status() == Some("PRIMARY")).or(deployments.first());
    let given_up = primary.filter(|primary| primary.rollout_state() == Some(&DeploymentRolloutState::Failed));
    let unplaced = service.events().first().and_then(types::ServiceEvent::message);
    Some(Service {
        name: service.service_name()?.to_owned(),
        api: tag_value(tags, API_TAG)?.to_owned(),
        version: tag_value(tags, VERSION_TAG)?.to_owned(),
        status: read_status(service),
        desired: count(service.desired_count()),
        busy: count(service.running_count()) + count(service.pending_count()),
        definition: service.task_definition().unwrap_or_default().to_owned(),
        failed_tasks: primary.map_or(0, |primary| count(primary.failed_tasks())),
        given_up: given_up.map(|deployment| GivenUp {
            reason: deployment.rollout_state_reason().unwrap_or("Amazon ECS starts no more tasks").to_owned(),
            at: millis(deployment.updated_at()),
        }),
        unplaced: unplaced.filter(|message| message.contains("unable to place a task")).map(str::to_owned),
    })
}

pub(super) fn read_status(service: &types::Service) -> Status {
    match service.status() {
        Some("INACTIVE") => Status::Inactive,
        Some("DRAINING") => Status::Draining,
        _ => Status::Active,
    }
}

/// None if it is not of a service.
fn read_task(task: &types::Task) -> Option<Task> {
    let containers = task.containers();
    // A container in a bridge network is bound to the same port for IPv4 and IPv6.
    let mut bindings = containers.iter().flat_map(types::Container::network_bindings);
    let port =
        bindings.find(|binding| is_replicas(binding.container_port())).and_then(types::NetworkBinding::host_port);
    Some(Task {
        id: last_part(task.task_arn()?).to_owned(),
        service: task.group()?.strip_prefix("service:")?.to_owned(),
        instance: task.container_instance_arn().map(str::to_owned),
        port: port.and_then(|port| u16::try_from(port).ok()),
        stage: stage(task),
        created_at: millis(task.created_at()),
        end: (task.last_status() == Some("STOPPED")).then(|| end(task)),
    })
}

fn stage(task: &types::Task) -> Stage {
    match (task.last_status().unwrap_or_default(), task.desired_status()) {
        ("STOPPED", _) => Stage::Stopped,
        (_, Some("STOPPED")) | ("DEACTIVATING" | "STOPPING" | "DEPROVISIONING", _) => Stage::Stopping,
        ("RUNNING", _) => Stage::Running(match task.health_status() {
            Some(HealthStatus::Healthy) => Health::Healthy,
            Some(HealthStatus::Unhealthy) => Health::Unhealthy,
            _ => Health::Unknown,
        }),
        ("PENDING" | "ACTIVATING", _) => Stage::Pending,
        _ => Stage::Provisioning,
    }
}

fn end(task: &types::Task) -> End {
    let stopped = task.stopped_reason().unwrap_or_default();
    let crashed = match task.stop_code() {
        Some(TaskStopCode::EssentialContainerExited | TaskStopCode::TaskFailedToStart) => true,
        // The only reason of the scheduler's that is the task's own fault.
        Some(TaskStopCode::ServiceSchedulerInitiated) => stopped.contains("failed container health checks"),
        _ => false,
    };
    let mut containers = task.containers().iter();
    let container = containers.find(|container| container.exit_code().is_some() || container.reason().is_some());
    // A container's reason, `OutOfMemoryError: ...`, says more than that it has exited.
    let reason = container.and_then(types::Container::reason).unwrap_or(stopped);
    End {
        at: millis(task.stopped_at()),
        crashed,
        exit_code: container.and_then(types::Container::exit_code),
        reason: reason.to_owned(),
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn millis(time: Option<&DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}
