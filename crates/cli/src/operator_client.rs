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
    tunnel,
};

/// A client of the named environment's operator, or of the default one's.
pub async fn connect(environment: Option<&str>) -> Result<(Environment, Client), Failure> {
    let environments = Environments::load(&Home::find()?)?;
    let (name, environment) = environments.get(environment)?;
    let client = client(name, environment).await?;
    Ok((environment.clone(), client))
}

/// A client of that environment's operator.
pub async fn client(name: &str, environment: &Environment) -> Result<Client, Failure> {
    let credentials: Arc<dyn Authenticate> = match &environment.credential {
        CredentialSource::TokenFile(path) => {
            let token = fs::read_to_string(path).map_err(|error| {
                io_failure("read the admin token", path, &error)
                    .hint(format!("is the cluster still there? `cortex env delete {name}` forgets the environment"))
            })?;
            Arc::new(Bearer(Secret::new(token.trim())))
        }
        CredentialSource::Aws { region } => Arc::new(aws_proof(environment, region).await?),
    };
    let proxy = tunnel::proxy(&environment.connect_to).await?;
    Client::through(&environment.operator_endpoint, &environment.ca_certificate, credentials, proxy.as_deref())
        .map_err(|error| Failure::new(Exit::InvalidConfig, "cli.bad_environment", error.to_string()))
}

#[cfg(feature = "aws")]
async fn aws_proof(environment: &Environment, region: &str) -> Result<api::StsProof, Failure> {
    use identity::sts::{ClusterId, Region, Signer};

    let damaged = |why: &str| Failure::new(Exit::InvalidConfig, "cli.bad_environment", why.to_owned());
    let keys = crate::aws::CallerKeys::load(region).await?;
    let region = Region::named(region).ok_or_else(|| damaged(&format!("`{region}` is not a region of AWS")))?;
    let hash =
        transport::public_key_sha256(&environment.ca_certificate).map_err(|error| damaged(&error.to_string()))?;
    let cluster = ClusterId::parse(&hash).ok_or_else(|| damaged("the certificate has no usable key"))?;
    Ok(api::StsProof::new(Signer { region, cluster }, Arc::new(keys)))
}

#[cfg(not(feature = "aws"))]
async fn aws_proof(_: &Environment, _: &str) -> Result<Bearer, Failure> {
    Err(Failure::without_aws())
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
