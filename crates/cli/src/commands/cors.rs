//! `cortex cors`: which web pages may call the APIs from a browser.

use api::cors::{ANY_ORIGIN, Cors, CorsSettings};

use crate::{
    args::{self, CorsSet, CorsUnset, Target},
    operator_client::connect,
    output::{Format, table},
    report::Failure,
};

pub async fn run(command: args::Cors) -> Result<(), Failure> {
    match command {
        args::Cors::Set(arguments) => set(arguments).await,
        args::Cors::Get { target, printed } => get(&target, printed.output).await,
        args::Cors::Unset(arguments) => unset(arguments).await,
    }
}

async fn set(arguments: CorsSet) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let set = client.set_cors(arguments.api.as_deref(), &Cors { origins: arguments.origins }).await?;
    let subject = subject(arguments.api.as_deref());
    arguments.printed.output.print(&set, |set| format!("{subject}: {}", pages(set)))
}

async fn get(target: &Target, format: Format) -> Result<(), Failure> {
    let (_, client) = connect(target.env.as_deref()).await?;
    format.print(&client.cors().await?, shown)
}

/// Answers with all that is set, as `get` does.
async fn unset(arguments: CorsUnset) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    client.unset_cors(arguments.api.as_deref()).await?;
    arguments.printed.output.print(&client.cors().await?, shown)
}

fn shown(settings: &CorsSettings) -> String {
    let cluster = settings.cluster.as_ref().map_or_else(|| pages(&Cors::default()), pages);
    let rows = settings.apis.iter().map(|(api, cors)| [api.clone(), pages(cors)]);
    let whole = if settings.apis.is_empty() { "all APIs" } else { "all other APIs" };
    table(["api", "pages that may call"], rows.chain([[whole.to_owned(), cluster]]))
}

fn subject(api: Option<&str>) -> &str {
    api.unwrap_or("all APIs without a setting of their own")
}

fn pages(cors: &Cors) -> String {
    match &cors.origins[..] {
        [] => "none".to_owned(),
        [any] if any == ANY_ORIGIN => "all".to_owned(),
        origins => origins.join(", "),
    }
}
