//! The operator of an environment, ready to be asked.

use std::{fs, sync::Arc};

use api::{Authenticate, Client, Outgoing};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use identity::Secret;

use crate::{
    environments::{CredentialSource, Environment, Environments},
    home::{Home, io_failure},
    report::{Exit, Failure},
};

/// A client of the named environment's operator, or of the default one's.
pub fn connect(environment: Option<&str>) -> Result<(Environment, Client), Failure> {
    let environments = Environments::load(&Home::find()?)?;
    let (name, environment) = environments.get(environment)?;
    let client = client(name, environment)?;
    Ok((environment.clone(), client))
}

fn client(name: &str, environment: &Environment) -> Result<Client, Failure> {
    let CredentialSource::TokenFile(path) = &environment.credential;
    let token = fs::read_to_string(path).map_err(|error| {
        io_failure("read the admin token", path, &error)
            .hint(format!("is the cluster still there? `cortex env delete {name}` forgets the environment"))
    })?;
    let credentials = Bearer(Secret::new(token.trim()));
    Client::new(&environment.operator_endpoint, &environment.ca_certificate, Arc::new(credentials))
        .map_err(|error| Failure::new(Exit::InvalidConfig, "cli.bad_environment", error.to_string()))
}

/// The token of a local cluster.
pub struct Bearer(pub Secret);

#[async_trait]
impl Authenticate for Bearer {
    async fn headers(&self, _request: &Outgoing<'_>) -> Result<HeaderMap, String> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0.expose()))
            .map_err(|_| "the token file holds something that is not a token".to_owned())?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }
}
