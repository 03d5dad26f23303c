//! Where spans go and which, by the environment variables that OpenTelemetry's specification names.

use std::time::Duration;

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSettings {
    #[error("{variable}: {why}")]
    Variable { variable: &'static str, why: String },
    #[error("no client for the collector: {0}")]
    Client(String),
}

/// What is known of the collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// With the path.
    pub(super) url: String,
    /// Values may be secret: never logged.
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    pub(super) service: String,
    /// Of the resource, besides its name.
    pub(super) attributes: Vec<(String, String)>,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// What the caller has decided holds.
    parent_based: bool,
    /// Of traces that begin here.
    ratio: f64,
}

impl Sampler {
    /// `parent`: what the caller has decided, if anything.
    pub(super) fn takes(self, trace_id: &[u8; 16], parent: Option<bool>) -> bool {
        match parent {
            Some(decided) if self.parent_based => decided,
            // By the trace's id, so that all who decide for themselves decide alike.
            _ => {
                let [.., a, b, c, d, e, f, g, h] = *trace_id;
                let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                (number as f64) < self.ratio * (1_u64 << 63) as f64
            }
        }
    }

    fn parse(name: &str, argument: Option<&str>) -> Result<Self, BadSettings> {
        let bad = |variable, why: String| BadSettings::Variable { variable, why };
        let (parent_based, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => {
                let argument = argument.unwrap_or("1");
                argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| {
                    bad("OTEL_TRACES_SAMPLER_ARG", format!("`{argument}` is not a number from 0 to 1"))
                })?
            }
            _ => {
                let known = "always_on, always_off, traceidratio, each also with parentbased_ before it";
                return Err(bad("OTEL_TRACES_SAMPLER", format!("`{name}` is not known here: use {known}")));
            }
        };
        Ok(Self { parent_based, ratio })
    }
}

impl Settings {
    /// `None` if no collector is named, or tracing is switched off. `variable` is the environment; `service` is the name of
    /// this process among others, used unless `OTEL_SERVICE_NAME` gives another.
    ///
    /// # Errors
    ///
    /// A variable that is set has a value that means nothing.
    pub fn read(variable: impl Fn(&str) -> Option<String>, service: &str) -> Result<Option<Self>, BadSettings> {
        // An empty variable is as good as none.
        let get = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let whole = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let Some(url) = whole.or(base) else { return Ok(None) };
        let off = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if off || get("OTEL_TRACES_EXPORTER").as_deref() == Some("none") {
            return Ok(None);
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let why = format!("`{url}` does not begin with http:// or https://");
            return Err(BadSettings::Variable { variable: "OTEL_EXPORTER_OTLP_ENDPOINT", why });
        }
        let sampler = get("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let timeout = get("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|millis| millis.parse().ok()).unwrap_or(10_000);
        let headers = get("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| get("OTEL_EXPORTER_OTLP_HEADERS"));
        Ok(Some(Self {
            url,
            headers: pairs(&headers.unwrap_or_default()),
            timeout: Duration::from_millis(timeout),
            sampler: Sampler::parse(&sampler, get("OTEL_TRACES_SAMPLER_ARG").as_deref())?,
            service: get("OTEL_SERVICE_NAME").unwrap_or_else(|| service.to_owned()),
            attributes: pairs(&get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()),
        }))
    }
}

/// `name=value,name=value`, values percent-encoded (W3C Baggage).
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())));
    text.split(',').filter_map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, BadSettings> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(get, "cortex-gateway")
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn off_unless_a_collector_is_named() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        let settings = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!((&*settings.url, &*settings.service), ("http://collector:4318/v1/traces", "cortex-gateway"));
        assert_eq!(settings.sampler, Sampler { parent_based: true, ratio: 1.0 });
    }

    #[test]
    fn what_is_said_is_used() {
        let settings = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/path"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x%3D, api-key = 50%"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((&*settings.url, &*settings.service), ("https://other/path", "mine"));
        let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(settings.headers, text(&[("authorization", "Bearer x="), ("api-key", "50%")]));
        assert_eq!(settings.attributes, text(&[("deployment.environment", "prod")]));
        assert_eq!(settings.sampler, Sampler { parent_based: false, ratio: 0.25 });
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (variables, says) in [
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")][..], "does not begin with http://"),
            (&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "jaeger_remote")], "`jaeger_remote` is not known here"),
            (&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")], "from 0 to 1"),
        ] {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_caller_decides_and_else_the_ratio_does() {
        let takes = |sampler: Sampler, parent| {
            let ids = (0..1000_u64).map(|number| {
                let mut id = [7; 16];
                id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
                id
            });
            ids.filter(|id| sampler.takes(id, parent)).count()
        };
        let quarter = Sampler { parent_based: true, ratio: 0.25 };
        assert_eq!([takes(quarter, Some(true)), takes(quarter, Some(false))], [1000, 0]);
        assert!((200..300).contains(&takes(quarter, None)));
        assert!((200..300).contains(&takes(Sampler { parent_based: false, ..quarter }, Some(true))));
        assert_eq!(takes(Sampler { parent_based: false, ratio: 1.0 }, Some(false)), 1000);
    }
}
