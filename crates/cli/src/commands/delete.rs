//! `cortex delete`.

use crate::{args, operator_client::connect, report::Failure};

pub async fn delete(arguments: args::Delete) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    client.delete_api(&arguments.api).await?;
    let result = serde_json::json!({ "deleted": arguments.api });
    arguments.printed.output.print(&result, |_| format!("deleted {}", arguments.api))
}
