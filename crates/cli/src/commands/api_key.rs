//! `cortex api-key`: a value is printed by the commands that are asked for one, and by no other.

use api::api_keys::{ApiKeyInfo, ApiKeyValue, CreateApiKey, RotateApiKey};
use time::{OffsetDateTime, UtcOffset};

use crate::{
    args::{ApiKey, ApiKeyCreate, ApiKeyRotate, Target},
    operator_client::connect,
    output::{Format, say, table},
    report::Failure,
};

pub async fn run(command: ApiKey) -> Result<(), Failure> {
    match command {
        ApiKey::Create(arguments) => create(arguments).await,
        ApiKey::List { target, printed } => list(&target, printed.output).await,
        ApiKey::Get { name, target, printed } => get(name.as_deref(), &target, printed.output).await,
        ApiKey::Rotate(arguments) => rotate(arguments).await,
        ApiKey::Revoke { name, target, printed } => revoke(&name, &target, printed.output).await,
    }
}

async fn create(arguments: ApiKeyCreate) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let wanted = CreateApiKey {
        name: arguments.name,
        kind: arguments.kind.into(),
        apis: (!arguments.apis.is_empty()).then_some(arguments.apis),
        description: arguments.description,
        expires: arguments.expires,
    };
    let made = client.create_api_key(&wanted).await?;
    say!("{} opens {}{}", made.key.name, scope(&made.key), until(&made.key));
    print(&made, arguments.printed.output)
}

async fn list(target: &Target, format: Format) -> Result<(), Failure> {
    let (_, client) = connect(target.env.as_deref()).await?;
    format.print(&client.api_keys().await?, |list| {
        if list.keys.is_empty() {
            return "there is no API key: nobody can call the APIs; `cortex api-key create NAME` makes one".to_owned();
        }
        table(["key", "opens", "created", "by", "last used", "ends", "description"], list.keys.iter().flat_map(rows))
    })
}

async fn get(name: Option<&str>, target: &Target, format: Format) -> Result<(), Failure> {
    let (_, client) = connect(target.env.as_deref()).await?;
    match name {
        Some(name) => print(&client.named_api_key(name).await?, format),
        None => format.print(&client.api_key().await?, |reply| reply.api_key.clone()),
    }
}

async fn rotate(arguments: ApiKeyRotate) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let how = RotateApiKey { overlap_seconds: arguments.overlap, expires: arguments.expires };
    let rotated = client.rotate_api_key(&arguments.name, &how).await?;
    match rotated.key.former.first() {
        Some(former) => say!("the former value works until {}", moment(former.accepted_until)),
        None => say!("the former value does not work any more"),
    }
    print(&rotated, arguments.printed.output)
}

async fn revoke(name: &str, target: &Target, format: Format) -> Result<(), Failure> {
    let (_, client) = connect(target.env.as_deref()).await?;
    let revoked = client.revoke_api_key(name).await?;
    if revoked.keys_left == 0 {
        say!("warning: no key is left, so nobody can call the APIs; `cortex api-key create NAME` makes one");
    }
    format.print(&revoked, |revoked| format!("{} is revoked", revoked.name))
}

fn print(key: &ApiKeyValue, format: Format) -> Result<(), Failure> {
    format.print(key, |key| key.api_key.clone())
}

/// The key, and below it the values that a rotation has replaced.
fn rows(key: &ApiKeyInfo) -> Vec<[String; 7]> {
    let day = |time: Option<OffsetDateTime>| time.map_or_else(|| "-".to_owned(), |time| time.date().to_string());
    let used = |time: Option<OffsetDateTime>| time.map_or_else(|| "never".to_owned(), moment);
    let ends = match (key.expires_at, key.expired) {
        (Some(end), true) => format!("expired {}", moment(end)),
        (Some(end), false) => moment(end),
        (None, _) => "never".to_owned(),
    };
    let by = key.created_by.clone().unwrap_or_else(|| "-".to_owned());
    let used_last = used(key.last_used_at);
    let first = [key.name.clone(), scope(key), day(key.created_at), by, used_last, ends, key.description.clone()];
    let former = key.former.iter().map(|former| {
        let blank = String::new;
        let name = format!("{} (former value)", key.name);
        [name, blank(), blank(), blank(), used(former.last_used_at), moment(former.accepted_until), blank()]
    });
    std::iter::once(first).chain(former).collect()
}

fn scope(key: &ApiKeyInfo) -> String {
    match (&key.apis, key.kind.name()) {
        (Some(apis), _) => apis.join(", "),
        (None, "api") => "all APIs".to_owned(),
        (None, "monitor") => "no API (monitor)".to_owned(),
        (None, kind) => format!("all APIs ({kind})"),
    }
}

fn until(key: &ApiKeyInfo) -> String {
    key.expires_at.map_or_else(String::new, |end| format!(" until {}", moment(end)))
}

/// To the minute, as the last use is known.
fn moment(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
}
