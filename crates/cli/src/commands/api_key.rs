//! `cortex api-key get`: prints the key, which is why it is asked for, and nothing else.

use crate::{args::Target, operator_client::connect, output::Format, report::Failure};

pub async fn get(target: &Target, format: Format) -> Result<(), Failure> {
    let (_, client) = connect(target.env.as_deref()).await?;
    format.print(&client.api_key().await?, |reply| reply.api_key.clone())
}
