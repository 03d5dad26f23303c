//! Users and roles that a cluster's rules name: whether they are there, and the id that only they will ever have.

use provision::cloud::CloudError;

use crate::{
    Clients,
    call::missing,
    classify::{iam, present},
};

/// Looks for the user or role with that ARN; returns its unique id ("IAM identifiers", IAM user guide), or `None` if there
/// is none with this name and path.
///
/// # Errors
///
/// AWS does not answer, or not to us.
pub async fn unique_id(clients: &Clients, arn: &str) -> Result<Option<String>, CloudError> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let name = resource.rsplit('/').next().unwrap_or_default();
    let (found, id) = if resource.starts_with("role/") {
        let reply = clients.iam.get_role().role_name(name).send().await.map_err(iam);
        let Some(reply) = present(reply)? else { return Ok(None) };
        let role = reply.role.ok_or_else(|| missing("role"))?;
        (role.arn, role.role_id)
    } else {
        let reply = clients.iam.get_user().user_name(name).send().await.map_err(iam);
        let Some(reply) = present(reply)? else { return Ok(None) };
        let user = reply.user.ok_or_else(|| missing("user"))?;
        (user.arn, user.user_id)
    };
    Ok((found == arn).then_some(id))
}
