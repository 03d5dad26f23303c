//! Where a process sends its traces: as its own environment says, and else as `telemetry` of `cluster.yaml`, which is
//! followed while the process runs.

use std::{convert::Infallible, fs, io, path::PathBuf, time::Duration};

use api::cluster::TelemetryRecord;
use spec::cluster::Telemetry;
use telemetry::{Settings, Tracer};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
/// How long the last spans may keep a process from ending.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the cluster says what it wants.
#[derive(Clone)]
pub enum Source {
    /// A file of this machine with a [`TelemetryRecord`].
    File(PathBuf),
    /// What control nodes are told, in the bucket.
    #[cfg(feature = "aws")]
    State(std::sync::Arc<dyn state::State>),
    /// Only the environment.
    Nowhere,
}

impl Source {
    /// A look at the bucket is a request that costs.
    fn pause(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_secs(1),
            #[cfg(feature = "aws")]
            Self::State(_) => Duration::from_mins(1),
            Self::Nowhere => Duration::from_hours(1),
        }
    }

    async fn read(&self) -> Result<Option<Telemetry>, String> {
        let record = match self {
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => {
                    Some(serde_json::from_slice::<TelemetryRecord>(&bytes).map_err(|error| error.to_string())?)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error.to_string()),
            },
            #[cfg(feature = "aws")]
            Self::State(state) => {
                let record = state::read::<TelemetryRecord>(&**state, api::cluster::NODE_CONFIG_KEY).await;
                record.map_err(|error| error.to_string())?.map(|(record, _)| record)
            }
            Self::Nowhere => None,
        };
        Ok(record.unwrap_or_default().telemetry)
    }
}

/// Does something that is traced, and sends its last spans.
pub async fn traced<T>(service: &'static str, source: Source, serve: impl AsyncFnOnce(Tracer) -> T) -> T {
    let mut follower = Follower { tracer: Tracer::default(), service, source, failure: None };
    follower.look().await;
    let tracer = follower.tracer.clone();
    let outcome = tokio::select! {
        outcome = Box::pin(serve(tracer.clone())) => outcome,
        never = follower.follow() => match never {},
    };
    tracer.flush(FAREWELL).await;
    outcome
}

struct Follower {
    tracer: Tracer,
    service: &'static str,
    source: Source,
    /// The last failure, told once.
    failure: Option<String>,
}

impl Follower {
    async fn follow(mut self) -> Infallible {
        loop {
            tokio::time::sleep(self.source.pause()).await;
            self.look().await;
        }
    }

    /// Does what is said now. While that cannot be found out, what was said is done; a value that means nothing is no reason
    /// not to serve.
    async fn look(&mut self) {
        let failure = match self.source.read().await {
            Ok(telemetry) => self.take(telemetry.as_ref()).err(),
            Err(error) => Some(format!("where traces are to go cannot be found out: {error}")),
        };
        if let Some(failure) = failure.as_ref().filter(|failure| self.failure.as_ref() != Some(*failure)) {
            tracing::warn!("{failure}");
        }
        self.failure = failure;
    }

    fn take(&self, telemetry: Option<&Telemetry>) -> Result<(), String> {
        let settings = settings(telemetry, self.service, &|name| std::env::var(name).ok());
        let (settings, wrong) = match settings {
            Ok(settings) => (settings, None),
            Err(error) => (None, Some(error)),
        };
        match self.tracer.follow(settings) {
            Ok(true) if self.tracer.is_on() => tracing::info!("requests are traced"),
            Ok(true) => tracing::info!("requests are traced no more"),
            _ => {}
        }
        wrong.map_or(Ok(()), |error| Err(format!("nothing is traced: {error}")))
    }
}

/// The environment's word counts before the cluster's; a sampler and its argument belong together.
fn settings(
    telemetry: Option<&Telemetry>,
    service: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Settings>, telemetry::BadSettings> {
    let own = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let own_sampler = own(SAMPLER).or_else(|| own(SAMPLER_ARG)).is_some();
    let of_cluster = |name: &str| match (telemetry?, name) {
        (telemetry, ENDPOINT) => Some(telemetry.otlp_endpoint.clone()),
        (telemetry, SAMPLER) if !own_sampler => Some(telemetry.traces_sampler.name().to_owned()),
        (telemetry, SAMPLER_ARG) if !own_sampler => Some(telemetry.traces_sampler_arg.to_string()),
        _ => None,
    };
    Settings::read(|name| own(name).or_else(|| of_cluster(name)), service)
}

#[cfg(test)]
mod tests {
    use spec::cluster::Sampler;

    use super::*;

    fn read(telemetry: Option<&Telemetry>, environment: &[(&str, &str)]) -> Option<Settings> {
        let get =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        settings(telemetry, "test", &get).expect("they mean something")
    }

    #[test]
    fn the_environment_counts_before_the_file() {
        let file = Telemetry {
            otlp_endpoint: "http://file:4318".to_owned(),
            traces_sampler: Sampler::Traceidratio,
            traces_sampler_arg: 0.25,
        };
        let quarter = [(ENDPOINT, "http://file:4318"), (SAMPLER, "traceidratio"), (SAMPLER_ARG, "0.25")];
        let both = read(Some(&file), &[]);
        assert!(both.is_some());
        assert_eq!(both, read(None, &quarter));
        assert_eq!(read(None, &[]), None);
        // Its ratio would mean something else with another sampler.
        let other = read(Some(&file), &[(SAMPLER, "parentbased_traceidratio")]);
        assert_eq!(other, read(None, &[quarter[0], (SAMPLER, "parentbased_traceidratio")]));
        let other = read(Some(&file), &[(ENDPOINT, "http://own:4318"), (SAMPLER, " ")]);
        assert_eq!(other, read(None, &[(ENDPOINT, "http://own:4318"), quarter[1], quarter[2]]));
        assert_eq!(read(Some(&file), &[("OTEL_SDK_DISABLED", "true")]), None);
    }

    #[tokio::test]
    async fn the_last_spans_are_sent_before_the_process_ends() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let record = TelemetryRecord {
            telemetry: Some(Telemetry {
                otlp_endpoint: format!("http://{}", listener.local_addr().expect("it is bound")),
                traces_sampler: Sampler::AlwaysOn,
                traces_sampler_arg: 1.0,
            }),
        };
        let collector = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("it is bound");
            let mut told = Vec::new();
            while !told.ends_with(b"]}]}]}") {
                assert_ne!(stream.read_buf(&mut told).await.expect("it is sent"), 0);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("it is read");
            String::from_utf8(told).expect("JSON")
        });
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("telemetry.json");
        fs::write(&file, serde_json::to_vec(&record).expect("JSON")).expect("it is written");
        let outcome = traced("test", Source::File(file), async |tracer| {
            tracer.end(tracer.server("last", None).expect("it is on"));
            7
        });
        assert_eq!(outcome.await, 7);
        // It has it by now, and not a second later.
        assert!(collector.is_finished());
        assert!(collector.await.expect("it does not panic").contains(r#""name":"last""#));
    }
}
