//! What must be true of a checked API. `cortex.yaml` and the wire both answer to these.

use std::collections::BTreeMap;

use super::{Api, Networking, Predictor, PredictorType, Program, Share, UpdateStrategy};
use crate::{
    problem::Refusal,
    rules::{api_name, only, project_path},
};

pub(super) const MAX_REPLICAS: i64 = 10_000;
pub(super) const MAX_PROCESSES: i64 = 100;
pub(super) const MAX_THREADS: i64 = 1024;
/// Seconds. A load balancer in front of a gateway gives up a quiet connection long before that.
pub(super) const MAX_TIMEOUT: i64 = 3600;
/// More than a gateway has connections.
pub(super) const MAX_REQUESTS: i64 = 100_000;
pub(super) const BATCH_SIZE: std::ops::RangeInclusive<i64> = 2..=1024;
pub(super) const MAX_REQUEST_TIMEOUT: i64 = 86_400;
pub(super) const MAX_REPLICA_CONCURRENCY: i64 = 30_000;
const MAX_BATCH_INTERVAL_MILLIS: u32 = 60_000;
const MAX_ENDPOINT: usize = 1000;
const MIN_CPU_MILLIS: u32 = 20;
const MIN_MEM_BYTES: u64 = 20 << 20;
/// The kernel takes no more in one argument; nobody needs half of it.
const MAX_ENV_VALUE: usize = 64 << 10;

/// Where gateways tell of themselves.
const TAKEN: [&str; 2] = ["/healthz", "/metrics"];

/// For endpoints that are made of an API's name, too.
pub(super) fn not_taken(endpoint: &str) -> Result<(), Refusal> {
    if TAKEN.contains(&endpoint) {
        let help = format!("give the API another `networking.endpoint`, such as `{endpoint}-api`");
        return Err(Refusal::invalid(format!("`{endpoint}` is the gateway's own")).help(help));
    }
    Ok(())
}

/// In its normal form: no slash at the end.
pub(super) fn endpoint(text: String) -> Result<String, Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid(format!("`{text}` {why}")));
    if text.len() > MAX_ENDPOINT {
        let message = format!("an endpoint has at most {MAX_ENDPOINT} characters, this has {}", text.len());
        return Err(Refusal::range(message));
    }
    if !text.starts_with('/') {
        return refuse("does not begin with `/`").map_err(|r| r.help(format!("write `/{text}`")));
    }
    if !only(&text, "_-./") {
        return refuse("has a character an endpoint cannot have")
            .map_err(|r| r.help("letters, digits and _-./ are allowed"));
    }
    if text == "/" {
        return refuse("would take every request")
            .map_err(|r| r.help("give the API a path, or leave it out for `/<name>`"));
    }
    if text.contains("//") {
        return refuse("has an empty part").map_err(|r| r.help("write single slashes"));
    }
    if text.starts_with("/.") && !matches!(text.split('/').nth(1), Some("." | "..")) {
        return refuse("begins with `/.`, which cortex keeps for itself");
    }
    if text.split('/').any(|part| matches!(part, "." | "..")) {
        return refuse("has a part that is `.` or `..`").map_err(|r| r.help("clients remove those before they ask"));
    }
    let endpoint = text.strip_suffix('/').unwrap_or(&text);
    not_taken(endpoint)?;
    Ok(endpoint.to_owned())
}

pub(super) fn queue_without_limit() -> Refusal {
    Refusal::conflict("without `max_in_flight` no request ever waits at the gateway")
        .help("set `max_in_flight`, too, or remove it")
}

pub(super) fn env_name(name: &str) -> Result<(), Refusal> {
    if name.starts_with("CORTEX_") {
        return Err(Refusal::invalid("names that begin with `CORTEX_` are cortex's own").help("take another name"));
    }
    let ok = only(name, "_") && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    if ok {
        return Ok(());
    }
    Err(Refusal::invalid(format!("`{}` is not a name for an environment variable", name.escape_debug()))
        .help("letters, digits and `_`, not beginning with a digit"))
}

pub(super) fn env_value(value: &str) -> Result<(), Refusal> {
    if value.len() > MAX_ENV_VALUE {
        return Err(
            Refusal::range(format!("longer than {} KiB", MAX_ENV_VALUE >> 10)).help("put it in a file of the project")
        );
    }
    if value.contains('\0') { Err(Refusal::invalid("has a null byte, which no variable can have")) } else { Ok(()) }
}

pub(super) fn cpu_millis(millis: u32) -> Result<(), Refusal> {
    match millis >= MIN_CPU_MILLIS {
        true => Ok(()),
        false => Err(Refusal::range(format!("{millis}m is too little: at least {MIN_CPU_MILLIS}m"))),
    }
}

pub(super) fn batch_interval(millis: u32) -> Result<(), Refusal> {
    match millis {
        1..=MAX_BATCH_INTERVAL_MILLIS => Ok(()),
        _ => Err(Refusal::range(format!("{millis} ms is out of range: it must be 1 ms to 60 s"))),
    }
}

pub(super) fn mem_bytes(bytes: u64) -> Result<(), Refusal> {
    match bytes >= MIN_MEM_BYTES {
        true => Ok(()),
        false => Err(Refusal::range(format!("{bytes} bytes are too little: at least {}Mi", MIN_MEM_BYTES >> 20))
            .help("a unit makes a difference: 512Mi, 1Gi")),
    }
}

pub(super) fn share(share: Share) -> Result<(), Refusal> {
    match share {
        Share::Percent(percent) if percent > 100 => {
            Err(Refusal::range(format!("{percent}% is more than all replicas")))
        }
        Share::Count(count) if i64::from(count) > MAX_REPLICAS => {
            Err(Refusal::range(format!("{count} is more than an API can have: {MAX_REPLICAS}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn moves(strategy: UpdateStrategy) -> Result<(), Refusal> {
    match (strategy.max_surge, strategy.max_unavailable) {
        (Share::Count(0) | Share::Percent(0), Share::Count(0) | Share::Percent(0)) => {
            Err(Refusal::conflict("`max_surge` and `max_unavailable` are both 0, so an update could never begin")
                .help("raise one of them"))
        }
        _ => Ok(()),
    }
}

pub(super) fn min_replicas(min: i64) -> Result<u32, Refusal> {
    if min == 0 {
        return Err(Refusal::not_yet(
            "an API cannot be scaled to zero: set it to 1, or delete the API when nobody needs it",
        ));
    }
    crate::rules::within(1..=MAX_REPLICAS)(min)
}

/// Autoscaling itself is not there yet.
pub(super) fn fixed(min_replicas: u32, max_replicas: u32) -> Result<(), Refusal> {
    match max_replicas.cmp(&min_replicas) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(Refusal::conflict(format!(
            "`max_replicas` is {max_replicas}, less than `min_replicas`, {min_replicas}"
        ))),
        std::cmp::Ordering::Greater => Err(Refusal::not_yet(
            "the number of replicas does not follow the load: set min_replicas and max_replicas to the same number",
        )),
    }
}

/// A file that is certainly of the other type: the commonest mistake with files of the old product, where an ONNX
/// predictor was a Python class.
pub(super) fn path_fits(r#type: PredictorType, path: &str) -> Result<(), Refusal> {
    match r#type {
        PredictorType::Onnx if path.ends_with(".py") => {
            Err(Refusal::conflict(format!("`{path}` is a Python file, and `type: onnx` serves a model"))
                .help("name the .onnx file, or use `type: python` for a predictor class"))
        }
        PredictorType::Python if path.ends_with(".onnx") => {
            Err(Refusal::conflict(format!("`{path}` is a model, and `type: python` serves a predictor class"))
                .help("use `type: onnx`, or name the Python file"))
        }
        _ => Ok(()),
    }
}

/// Fields of `predictor` that only a Python predictor has, by name.
pub(super) fn python_only(field: &str) -> Refusal {
    let why = match field {
        "request_timeout" => "there is no process that could hang",
        "config" => "there is no predictor class to hand it to",
        _ => "no Python code runs",
    };
    Refusal::conflict(format!("is for `type: python`: with `type: onnx` {why}")).help("remove it")
}

impl Api {
    /// Holds an API that came from elsewhere, or from an older version, to the rules of `cortex.yaml`.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), String> {
        self.broken_rule().map_err(|(path, refusal)| format!("{path}: {refusal}"))
    }

    fn broken_rule(&self) -> Result<(), (String, Refusal)> {
        let at = |path: &str| {
            let path = path.to_owned();
            move |refusal| (path, refusal)
        };
        api_name(self.name.clone()).map_err(at("name"))?;
        match &self.program {
            Program::Predictor(predictor) => predictor.broken_rule()?,
            Program::Container(container) => container.broken_rule()?,
        }
        cpu_millis(self.compute.cpu_millis).map_err(at("compute.cpu"))?;
        self.compute.mem_bytes.map_or(Ok(()), mem_bytes).map_err(at("compute.mem"))?;
        self.networking.broken_rule()?;
        min_replicas(self.autoscaling.min_replicas.into()).map_err(at("autoscaling.min_replicas"))?;
        fixed(self.autoscaling.min_replicas, self.autoscaling.max_replicas).map_err(at("autoscaling.max_replicas"))?;
        if let Some(most) = self.autoscaling.max_replica_concurrency {
            crate::rules::within::<u32>(1..=MAX_REPLICA_CONCURRENCY)(most.into())
                .map_err(at("autoscaling.max_replica_concurrency"))?;
        }
        share(self.update_strategy.max_surge).map_err(at("update_strategy.max_surge"))?;
        share(self.update_strategy.max_unavailable).map_err(at("update_strategy.max_unavailable"))?;
        moves(self.update_strategy).map_err(at("update_strategy"))
    }
}

impl Networking {
    fn broken_rule(&self) -> Result<(), (String, Refusal)> {
        let at = |field: &str| {
            let path = format!("networking.{field}");
            move |refusal| (path, refusal)
        };
        let number = |value: Option<u32>, least, most| {
            value.map_or(Ok(0), |value| crate::rules::within::<u32>(least..=most)(value.into()))
        };
        normal(&self.endpoint, endpoint).map_err(at("endpoint"))?;
        number(self.timeout, 1, MAX_TIMEOUT).map_err(at("timeout"))?;
        number(self.max_in_flight, 1, MAX_REQUESTS).map_err(at("max_in_flight"))?;
        number(self.max_queue_length, 0, MAX_REQUESTS).map_err(at("max_queue_length"))?;
        match (self.max_in_flight, self.max_queue_length) {
            (None, Some(_)) => Err(at("max_queue_length")(queue_without_limit())),
            _ => Ok(()),
        }
    }
}

impl Predictor {
    fn broken_rule(&self) -> Result<(), (String, Refusal)> {
        let at = |field: &str| {
            let path = format!("predictor.{field}");
            move |refusal| (path, refusal)
        };
        normal(&self.path, file_path).map_err(at("path"))?;
        path_fits(self.r#type, &self.path).map_err(at("path"))?;
        self.python_path.as_ref().map_or(Ok(()), |path| normal(path, python_path)).map_err(at("python_path"))?;
        env(&self.env).map_err(|(name, refusal)| (format!("predictor.env.{name}"), refusal))?;
        let number = |value: u32, max| crate::rules::within::<u32>(1..=max)(value.into());
        number(self.processes_per_replica, MAX_PROCESSES).map_err(at("processes_per_replica"))?;
        number(self.threads_per_process, MAX_THREADS).map_err(at("threads_per_process"))?;
        if let Some(seconds) = self.request_timeout {
            number(seconds, MAX_REQUEST_TIMEOUT).map_err(at("request_timeout"))?;
        }
        if let Some(batching) = self.server_side_batching {
            crate::rules::within::<u32>(BATCH_SIZE)(batching.max_batch_size.into())
                .map_err(at("server_side_batching.max_batch_size"))?;
            batch_interval(batching.batch_interval_millis).map_err(at("server_side_batching.batch_interval"))?;
        }
        match self.foreign_fields().next() {
            Some(field) => Err(at(field)(python_only(field))),
            None => Ok(()),
        }
    }

    /// Fields that are set though this type of predictor has no use for them.
    pub(super) fn foreign_fields(&self) -> impl Iterator<Item = &'static str> {
        let onnx = self.r#type == PredictorType::Onnx;
        let set = [
            ("config", !self.config.is_empty()),
            ("python_path", self.python_path.is_some()),
            ("request_timeout", self.request_timeout.is_some()),
        ];
        set.into_iter().filter(move |(_, set)| onnx && *set).map(|(field, _)| field)
    }
}

pub(super) fn env(env: &BTreeMap<String, String>) -> Result<(), (String, Refusal)> {
    let mut broken = env.iter().filter_map(|(name, value)| {
        env_name(name).and_then(|()| env_value(value)).err().map(|refusal| (name.clone(), refusal))
    });
    broken.next().map_or(Ok(()), Err)
}

/// The project directory itself is a directory for Python too.
pub(super) fn python_path(text: String) -> Result<String, Refusal> {
    let path = project_path(text)?;
    Ok(if path.is_empty() { ".".to_owned() } else { path })
}

/// A file of the project; the project directory itself is none.
pub(super) fn file_path(text: String) -> Result<String, Refusal> {
    let path = project_path(text)?;
    if path.is_empty() { Err(Refusal::invalid("this is the project directory, not a file")) } else { Ok(path) }
}

/// On the wire, values are already in the form that `rule` gives them.
fn normal(text: &str, rule: impl Fn(String) -> Result<String, Refusal>) -> Result<(), Refusal> {
    match rule(text.to_owned())? {
        normal if normal == text => Ok(()),
        normal => {
            Err(Refusal::invalid(format!("`{text}` is not in its normal form")).help(format!("write `{normal}`")))
        }
    }
}
