//! Environments: the clusters this user's command line knows, by name, and how to reach each.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    home::{Home, io_failure, make_private_directory, write_private},
    report::{Exit, Failure},
    tunnel::ConnectTo,
};

/// The file of environments.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environments {
    #[serde(default)]
    pub default: Option<String>,
    #[serde(default)]
    pub environments: BTreeMap<String, Environment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub cluster: String,
    pub operator_endpoint: String,
    /// The cluster's certificate authority, PEM: the only one that is trusted to name the operator and the gateway.
    pub ca_certificate: String,
    pub credential: CredentialSource,
    /// Addresses to dial instead of those in the endpoints; names in certificates stay what they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connect_to: Vec<ConnectTo>,
}

/// Where the proof of identity comes from; never the proof itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// A local cluster's admin token.
    TokenFile(PathBuf),
    /// The caller's AWS credentials, from the standard settings at the time of use; signed for the cluster's region.
    Aws { region: String },
}

impl Environment {
    /// Whether it is one of that cluster on AWS.
    #[cfg(feature = "aws")]
    pub fn is_of_aws(&self, cluster: &str, region: &str) -> bool {
        self.cluster == cluster && matches!(&self.credential, CredentialSource::Aws { region: own } if own == region)
    }
}

impl Environments {
    pub fn load(home: &Home) -> Result<Self, Failure> {
        let path = home.environments_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(Exit::InvalidConfig, "cli.environments_damaged", format!("{}: {error}", path.display()))
                    .hint("delete the file and configure the environments again with `cortex env configure`")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(io_failure("read", &path, &error)),
        }
    }

    pub fn save(&self, home: &Home) -> Result<(), Failure> {
        let path = home.environments_file();
        if let Some(parent) = path.parent() {
            make_private_directory(parent)?;
        }
        let json = serde_json::to_vec_pretty(self).map_err(|error| Failure::internal(error.to_string()))?;
        write_private(&path, &json)
    }

    /// The named environment, else the default one.
    pub fn get(&self, name: Option<&str>) -> Result<(&str, &Environment), Failure> {
        let Some(name) = name.or(self.default.as_deref()) else {
            return Err(Failure::new(Exit::NotFound, "cli.no_environment", "no environment is configured")
                .hint("`cortex env configure local` sets one up for a cluster on this machine"));
        };
        match self.environments.get_key_value(name) {
            Some((name, environment)) => Ok((name, environment)),
            None => {
                Err(Failure::new(Exit::NotFound, "cli.no_environment", format!("there is no environment `{name}`"))
                    .hint(format!("`cortex env list` shows them; `cortex env configure {name}` makes this one")))
            }
        }
    }

    /// Adds or replaces; the first one becomes the default.
    pub fn put(&mut self, name: &str, environment: Environment) {
        self.environments.insert(name.to_owned(), environment);
        self.default.get_or_insert_with(|| name.to_owned());
    }

    /// Removes; if one is left, that becomes the default.
    pub fn remove(&mut self, name: &str) -> bool {
        let existed = self.environments.remove(name).is_some();
        if self.default.as_deref() == Some(name) {
            let mut left = self.environments.keys();
            self.default = left.next().filter(|_| left.next().is_none()).cloned();
        }
        existed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(cluster: &str) -> Environment {
        Environment {
            cluster: cluster.to_owned(),
            operator_endpoint: "https://localhost:8888".to_owned(),
            ca_certificate: String::new(),
            credential: CredentialSource::TokenFile("/token".into()),
            connect_to: Vec::new(),
        }
    }

    #[test]
    fn the_first_is_the_default_and_the_last_left_becomes_it() {
        let mut all = Environments::default();
        assert_eq!(all.get(None).expect_err("nothing is configured").exit, Exit::NotFound);
        all.put("one", environment("a"));
        all.put("two", environment("b"));
        assert_eq!(all.get(None).expect("the first").0, "one");
        assert_eq!(all.get(Some("two")).expect("named").1.cluster, "b");
        assert!(all.remove("one") && !all.remove("one"));
        assert_eq!(all.get(None).expect("the only one left").0, "two");
    }
}
