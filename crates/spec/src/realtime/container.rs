//! `container`: a server of the user's own in place of a predictor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{rules, written};
use crate::{de::At, document::Document, problem::Refusal, rules::within, yaml::NodeId};

pub(super) const DEFAULT_PORT: u16 = 8080;
pub(super) const DEFAULT_CONCURRENCY: u32 = 1024;
const MAX_CONCURRENCY: i64 = 30_000;
const MAX_COMMAND: usize = 64 << 10;
const MAX_PATH: usize = 1000;
const MAX_IMAGE: usize = 255;

/// An HTTP/1.1 server that runs beside the replica, which passes every request on to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Program and arguments, run in the project directory. [`PORT_MARK`] in an argument stands for the port.
    pub command: Vec<String>,
    /// Container image that the command runs in, on Amazon ECS; a cluster on one machine has none.
    pub image: Option<String>,
    /// At which the server listens where it has a network of its own; else a free one is chosen. It is told in `PORT`.
    pub port: u16,
    pub env: BTreeMap<String, String>,
    /// Answers with a status below 400 when the server is ready and well; without it, a connection is enough.
    pub readiness_path: Option<String>,
    /// Requests that one replica passes on at a time.
    pub max_concurrency: u32,
}

/// In `command`, the port at which to listen.
pub const PORT_MARK: &str = "{port}";

pub(super) fn read(document: &mut Document<'_>, written: written::Container, node: NodeId) -> Container {
    let command = document.required(node, "command", written.command, "for example `command: [python3, server.py]`");
    let env = written.env.map(|env| super::check::env(document, env));
    if let Some(env) = &env
        && env.contains_key("PORT")
        && let Some(entry) = document.tree().entry(node, "env")
    {
        document.refuse_field(entry.value, "PORT", own_port());
    }
    Container {
        command: command.and_then(|command| document.check(command, self::command)).unwrap_or_default(),
        image: document.optional(written.image, image),
        port: document.optional(written.port, within(1..=65_535)).unwrap_or(DEFAULT_PORT),
        env: env.unwrap_or_default(),
        readiness_path: document.optional(written.readiness_path, readiness_path),
        max_concurrency: document
            .optional(written.max_concurrency, within(1..=MAX_CONCURRENCY))
            .unwrap_or(DEFAULT_CONCURRENCY),
    }
}

fn command(command: Vec<String>) -> Result<Vec<String>, Refusal> {
    let help = "name the program and its arguments: `command: [python3, server.py]`";
    match command.first() {
        None => return Err(Refusal::invalid("the command is empty").help(help)),
        Some(program) if program.trim().is_empty() => {
            return Err(Refusal::invalid("the command names no program").help(help));
        }
        Some(_) => {}
    }
    if command.iter().any(|argument| argument.contains('\0')) {
        return Err(Refusal::invalid("has a null byte, which no argument can have"));
    }
    if command.iter().map(String::len).sum::<usize>() > MAX_COMMAND {
        let message = format!("longer than {} KiB", MAX_COMMAND >> 10);
        return Err(Refusal::range(message).help("put it in a script of the project"));
    }
    Ok(command)
}

fn image(image: String) -> Result<String, Refusal> {
    let ok = !image.is_empty() && image.len() <= MAX_IMAGE && crate::rules::only(&image, "./:@_-");
    if ok { Ok(image) } else { Err(Refusal::invalid(format!("`{}` is not an image", image.escape_debug()))) }
}

fn readiness_path(path: String) -> Result<String, Refusal> {
    if path.len() > MAX_PATH {
        return Err(Refusal::range(format!("a path has at most {MAX_PATH} characters, this has {}", path.len())));
    }
    if !path.starts_with('/') {
        return Err(Refusal::invalid(format!("`{path}` does not begin with `/`")).help(format!("write `/{path}`")));
    }
    match path.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        true => Ok(path),
        false => Err(Refusal::invalid(format!("`{path}` has a character that a path cannot have"))),
    }
}

fn own_port() -> Refusal {
    Refusal::conflict("is how the server is told where to listen").help("remove it, and set `container.port`")
}

impl Container {
    /// The rules of `cortex.yaml`, for what came over the wire: the field below `container` and why.
    pub(super) fn broken_rule(&self) -> Result<(), (String, Refusal)> {
        let at = |field: &str| {
            let path = format!("container.{field}");
            move |refusal| (path, refusal)
        };
        command(self.command.clone()).map_err(at("command"))?;
        self.image.clone().map_or(Ok(()), |name| image(name).map(drop)).map_err(at("image"))?;
        within::<u16>(1..=65_535)(self.port.into()).map_err(at("port"))?;
        rules::env(&self.env).map_err(|(name, refusal)| (format!("container.env.{name}"), refusal))?;
        if self.env.contains_key("PORT") {
            return Err(at("env.PORT")(own_port()));
        }
        self.readiness_path
            .clone()
            .map_or(Ok(()), |path| readiness_path(path).map(drop))
            .map_err(at("readiness_path"))?;
        within::<u32>(1..=MAX_CONCURRENCY)(self.max_concurrency.into()).map_err(at("max_concurrency")).map(drop)
    }

    /// As in `cortex.yaml`.
    pub(super) fn written(&self) -> Value {
        let Self { command, image, port, env, readiness_path, max_concurrency } = self;
        let mut of = Map::from_iter([
            ("command".to_owned(), json!(command)),
            ("port".to_owned(), json!(port)),
            ("env".to_owned(), json!(env)),
            ("max_concurrency".to_owned(), json!(max_concurrency)),
        ]);
        of.extend(image.iter().map(|image| ("image".to_owned(), json!(image))));
        of.extend(readiness_path.iter().map(|path| ("readiness_path".to_owned(), json!(path))));
        of.into()
    }
}

/// For `container`, where a predictor is, too.
pub(super) fn both() -> Refusal {
    Refusal::conflict("stands beside `predictor`, and an API has one of them").help("remove one")
}

/// What to write where neither is.
pub(super) fn missing() -> &'static str {
    "say what answers requests: `type` and `path`; or run a server of your own with `container`"
}

/// Reads `container` if it is there.
pub(super) fn optional(document: &mut Document<'_>, written: Option<At<written::Container>>) -> Option<Container> {
    written.map(|At { value, node }| read(document, value, node))
}
