//! What ECS said at one moment, in our own types, and the replicas that follow from it.

use std::collections::BTreeMap;

use api::wire::ReplicaPhase;
use operator::engine::Replica;
use transport::Address;

/// So many tasks in a row that ended by themselves, and another will most likely end the same way. Three is also what
/// ECS's own circuit breaker takes ("Amazon ECS deployment circuit breaker", ECS developer guide).
const HOPELESS: usize = 3;

/// Services of this cluster's, by name, and their tasks, by id, those included that stopped in the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) tasks: BTreeMap<String, Task>,
    /// Of nodes, by the ARN of the container instance.
    pub(super) addresses: BTreeMap<String, String>,
}

/// One version of one API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) api: String,
    pub(super) version: String,
    pub(super) status: Status,
    pub(super) desired: u32,
    /// Running or about to, by ECS's own count.
    pub(super) busy: u32,
    /// ARN of its task definition.
    pub(super) definition: String,
    /// Tasks that ended before they were healthy.
    pub(super) failed_tasks: u32,
    /// ECS's circuit breaker starts no more tasks.
    pub(super) given_up: Option<GivenUp>,
    /// What ECS says if it finds no instance for a task.
    pub(super) unplaced: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    /// Deleted, and some tasks have not stopped yet.
    Draining,
    Inactive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub(super) reason: String,
    /// Milliseconds since 1970, by AWS's clock.
    pub(super) at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    /// Name of its service.
    pub(super) service: String,
    /// ARN of its container instance.
    pub(super) instance: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) stage: Stage,
    /// Milliseconds since 1970, by AWS's clock.
    pub(super) created_at: i64,
    pub(super) end: Option<End>,
}

/// "Amazon ECS task lifecycle", ECS developer guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Provisioning,
    Pending,
    Running(Health),
    /// Asked to stop, or its container has ended.
    Stopping,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Unknown,
    Healthy,
    Unhealthy,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Milliseconds since 1970, by AWS's clock.
    pub(super) at: i64,
    /// By itself, and not because it was too much or its node went.
    pub(super) crashed: bool,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: String,
}

/// What keeps the replicas of a service from getting ready.
struct Trouble {
    message: String,
    hopeless: bool,
}

impl Picture {
    /// One for each task that has not stopped, and one for each that a service is to have and has not: so what is counted
    /// is what was asked for, and nobody asks again.
    pub(super) fn replicas(&self) -> Vec<Replica> {
        self.services.values().flat_map(|service| self.replicas_of(service)).collect()
    }

    /// Whether no task of a service is there any more, not even one that is about to stop.
    pub(super) fn is_deserted(&self, service: &Service) -> bool {
        service.desired == 0 && service.busy == 0 && self.living(service).next().is_none()
    }

    fn living(&self, service: &Service) -> impl Iterator<Item = &Task> {
        let name = service.name.clone();
        self.tasks.values().filter(move |task| task.service == name && task.stage != Stage::Stopped)
    }

    fn replicas_of(&self, service: &Service) -> Vec<Replica> {
        let trouble = self.trouble(service);
        let mut replicas: Vec<Replica> =
            self.living(service).map(|task| self.replica(service, task, trouble.as_ref())).collect();
        let lasting = self.living(service).filter(|task| task.stage != Stage::Stopping).count();
        let wanted = if service.status == Status::Active { service.desired as usize } else { 0 };
        let missing = wanted.saturating_sub(lasting);
        replicas.extend((1..=missing).map(|number| missing_replica(service, number, trouble.as_ref())));
        replicas
    }

    fn replica(&self, service: &Service, task: &Task, trouble: Option<&Trouble>) -> Replica {
        let address = self.address(task);
        let (phase, message) = match (task.stage, &address) {
            (Stage::Running(Health::Healthy), Some(_)) => (ReplicaPhase::Ready, "ready"),
            (Stage::Running(Health::Healthy), None) => {
                (ReplicaPhase::Starting, "its node has not said where it is reached (attribute cortex.address)")
            }
            (Stage::Running(Health::Unknown), _) => (ReplicaPhase::Starting, "starting"),
            (Stage::Running(Health::Unhealthy), _) => (ReplicaPhase::Starting, "does not answer its health check"),
            (Stage::Provisioning, _) => (ReplicaPhase::Starting, "waiting for an instance"),
            (Stage::Pending, _) => (ReplicaPhase::Starting, "pulling the image"),
            (Stage::Stopping | Stage::Stopped, _) => (ReplicaPhase::Draining, "finishing its last requests"),
        };
        let hopeless = trouble.filter(|trouble| trouble.hopeless && phase == ReplicaPhase::Starting);
        Replica {
            id: task.id.clone(),
            api: service.api.clone(),
            version: service.version.clone(),
            address: address.unwrap_or_else(nowhere),
            phase,
            message: hopeless.map_or_else(|| message.to_owned(), |trouble| trouble.message.clone()),
            restarts: service.failed_tasks,
            failed: hopeless.is_some(),
        }
    }

    fn address(&self, task: &Task) -> Option<Address> {
        let host = self.addresses.get(task.instance.as_ref()?)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        Some(Address::Tcp(format!("{host}:{}", task.port?)))
    }

    fn trouble(&self, service: &Service) -> Option<Trouble> {
        let healthy = self.living(service).filter(|task| task.stage == Stage::Running(Health::Healthy));
        // What went wrong before the youngest that is well has been overcome.
        let since = healthy.map(|task| task.created_at).max().unwrap_or(i64::MIN);
        let ends = self.tasks.values().filter(|task| task.service == service.name).filter_map(|task| task.end.as_ref());
        let crashes: Vec<&End> = ends.filter(|end| end.crashed && end.at > since).collect();
        let hopeless = service.given_up.is_some() || crashes.len() >= HOPELESS;
        let what = match (crashes.iter().max_by_key(|end| end.at), &service.given_up) {
            (Some(last), _) => last.tell(),
            (None, Some(given_up)) => given_up.reason.clone(),
            (None, None) => return None,
        };
        let message = format!("{what}; see `cortex logs {}`", service.api);
        Some(Trouble { message, hopeless })
    }
}

impl End {
    fn tell(&self) -> String {
        match (self.exit_code, self.reason.is_empty()) {
            (Some(code), true) => format!("ended with exit code {code}"),
            (Some(code), false) => format!("ended with exit code {code}: {}", self.reason),
            (None, true) => "ended".to_owned(),
            (None, false) => format!("ended: {}", self.reason),
        }
    }
}

fn missing_replica(service: &Service, number: usize, trouble: Option<&Trouble>) -> Replica {
    let (phase, message) = match (trouble, &service.unplaced) {
        (Some(trouble), _) => (ReplicaPhase::BackingOff, trouble.message.clone()),
        (None, Some(why)) => (ReplicaPhase::Starting, format!("no instance has room for it: {why}")),
        (None, None) => (ReplicaPhase::Starting, "waiting for Amazon ECS to start it".to_owned()),
    };
    Replica {
        id: format!("{}-{number}", service.name),
        api: service.api.clone(),
        version: service.version.clone(),
        address: nowhere(),
        phase,
        message,
        restarts: service.failed_tasks,
        failed: trouble.is_some_and(|trouble| trouble.hopeless),
    }
}

/// Of what is not reached anywhere yet, and therefore never in a route.
fn nowhere() -> Address {
    Address::Tcp("0.0.0.0:0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(desired: u32) -> Service {
        Service {
            name: "iris-1".to_owned(),
            api: "iris".to_owned(),
            version: "1".to_owned(),
            status: Status::Active,
            desired,
            busy: 0,
            definition: String::new(),
            failed_tasks: 0,
            given_up: None,
            unplaced: None,
        }
    }

    fn task(id: &str, stage: Stage) -> Task {
        Task {
            id: id.to_owned(),
            service: "iris-1".to_owned(),
            instance: Some("node".to_owned()),
            port: Some(32768),
            stage,
            created_at: 100,
            end: None,
        }
    }

    fn crash(id: &str, at: i64) -> Task {
        let end =
            End { at, crashed: true, exit_code: Some(1), reason: "Essential container in task exited".to_owned() };
        Task { end: Some(end), ..task(id, Stage::Stopped) }
    }

    fn picture(service: Service, tasks: impl IntoIterator<Item = Task>) -> Picture {
        Picture {
            services: BTreeMap::from([(service.name.clone(), service)]),
            tasks: tasks.into_iter().map(|task| (task.id.clone(), task)).collect(),
            addresses: BTreeMap::from([("node".to_owned(), "10.0.0.9".to_owned())]),
        }
    }

    fn phases(picture: &Picture) -> Vec<(String, ReplicaPhase, bool)> {
        picture.replicas().into_iter().map(|replica| (replica.id, replica.phase, replica.failed)).collect()
    }

    #[test]
    fn what_is_wanted_counts_whether_or_not_it_is_there() {
        use ReplicaPhase::{Draining, Ready, Starting};
        let tasks = [
            task("a", Stage::Running(Health::Healthy)),
            task("b", Stage::Running(Health::Unknown)),
            task("c", Stage::Stopping),
            task("d", Stage::Stopped),
        ];
        let picture = picture(service(3), tasks);
        let expected = [("a", Ready), ("b", Starting), ("c", Draining), ("iris-1-1", Starting)];
        assert_eq!(phases(&picture), expected.map(|(id, phase)| (id.to_owned(), phase, false)));
        assert_eq!(picture.replicas()[0].address, Address::Tcp("10.0.0.9:32768".to_owned()));
        let messages: Vec<_> = picture.replicas().into_iter().map(|replica| replica.message).collect();
        assert_eq!(messages[1..], ["starting", "finishing its last requests", "waiting for Amazon ECS to start it"]);
    }

    #[test]
    fn nothing_is_ready_without_an_address() {
        let mut picture = picture(service(1), [task("a", Stage::Running(Health::Healthy))]);
        picture.addresses.clear();
        assert_eq!(phases(&picture), [("a".to_owned(), ReplicaPhase::Starting, false)]);
        picture.addresses.insert("node".to_owned(), "2001:db8::1".to_owned());
        assert_eq!(picture.replicas()[0].address, Address::Tcp("[2001:db8::1]:32768".to_owned()));
    }

    #[test]
    fn one_crash_is_a_pause_and_three_are_a_failure() {
        let once = picture(service(1), [crash("a", 200)]);
        assert_eq!(phases(&once), [("iris-1-1".to_owned(), ReplicaPhase::BackingOff, false)]);
        let thrice =
            picture(service(2), [crash("a", 200), crash("b", 300), crash("c", 250), task("d", Stage::Pending)]);
        let failed = thrice.replicas();
        assert!(failed.iter().all(|replica| replica.failed));
        assert_eq!(
            failed[0].message,
            "ended with exit code 1: Essential container in task exited; see `cortex logs iris`"
        );
        assert_eq!(failed[0].phase, ReplicaPhase::Starting);
    }

    #[test]
    fn what_has_been_overcome_is_no_trouble() {
        let well = Task { created_at: 400, ..task("w", Stage::Running(Health::Healthy)) };
        let tasks = [crash("a", 200), crash("b", 300), crash("c", 250), well, task("n", Stage::Provisioning)];
        let picture = picture(service(2), tasks);
        assert!(picture.replicas().iter().all(|replica| !replica.failed));
    }

    #[test]
    fn what_ecs_has_given_up_has_failed() {
        let given_up = Some(GivenUp { reason: "tasks failed to start.".to_owned(), at: 0 });
        let picture = picture(Service { given_up, ..service(1) }, []);
        let replicas = picture.replicas();
        assert!(replicas[0].failed);
        assert_eq!(replicas[0].message, "tasks failed to start.; see `cortex logs iris`");
    }

    #[test]
    fn a_service_is_deserted_when_its_last_task_has_stopped() {
        let (gone, there) = (service(0), Service { busy: 1, ..service(0) });
        assert!(picture(gone.clone(), [task("a", Stage::Stopped)]).is_deserted(&gone));
        assert!(!picture(gone.clone(), [task("a", Stage::Stopping)]).is_deserted(&gone));
        assert!(!picture(there.clone(), []).is_deserted(&there));
    }
}
