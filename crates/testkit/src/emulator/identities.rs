//! Users, roles and credentials that tests make.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use super::Emulator;

/// An access key. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// Of whom they are.
    pub arn: String,
    /// RFC 3339, of temporary ones.
    pub expiration: Option<String>,
}

impl Credentials {
    pub(super) fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            access_key_id: text("access_key_id").unwrap_or_default(),
            secret_access_key: text("secret_access_key").unwrap_or_default(),
            session_token: text("session_token"),
            arn: text("arn").unwrap_or_default(),
            expiration: text("expiration"),
        }
    }

    /// `AWS_ACCESS_KEY_ID` and so on.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID".to_owned(), self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), self.secret_access_key.clone()),
        ];
        variables.extend(self.session_token.clone().map(|token| ("AWS_SESSION_TOKEN".to_owned(), token)));
        variables
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} of {})", self.access_key_id, self.arn)
    }
}

impl Emulator {
    /// A user with these inline policies, given by name; or one more key of a user that exists.
    pub fn create_user(&self, name: &str, policies: &Value) -> Credentials {
        self.credentials("users/create", &json!({ "name": name, "policies": policies }))
    }

    /// From now on these are the user's policies, and no others.
    pub fn set_policies(&self, name: &str, policies: &Value) {
        self.ask("users/policies", &json!({ "name": name, "policies": policies }));
    }

    /// A user who may do everything.
    pub fn create_administrator(&self, name: &str) -> Credentials {
        self.credentials("users/administrator", &json!({ "name": name }))
    }

    /// The user is gone, with all keys; one of the same name that is made later is another.
    pub fn delete_user(&self, name: &str) {
        self.ask("users/delete", &json!({ "name": name }));
    }

    /// A user of another account.
    pub fn create_stranger(&self, name: &str, account: &str) -> Credentials {
        self.credentials("users/create", &json!({ "name": name, "account": account }))
    }

    /// A role with this trust policy and these inline policies, given by name. Its ARN.
    pub fn create_role(&self, name: &str, trust: &Value, policies: &Value) -> String {
        let made = self.ask("roles/create", &json!({ "name": name, "trust": trust, "policies": policies }));
        made["arn"].as_str().unwrap_or_default().to_owned()
    }

    /// From now on these are the role's inline policies, and no others.
    pub fn set_role_policies(&self, role: &str, policies: &Value) {
        self.ask("roles/policies", &json!({ "role": role, "policies": policies }));
    }

    /// Credentials of a role (by name or ARN), whether or not it trusts anybody.
    pub fn assume(&self, role: &str, session: &str) -> Credentials {
        self.credentials("roles/assume", &json!({ "role": role, "session": session }))
    }

    /// Credentials of a role that has to trust the service, `ecs-tasks.amazonaws.com` for example.
    pub fn assume_as_service(&self, role: &str, session: &str, service: &str, duration: Duration) -> Credentials {
        let asked = json!({ "role": role, "session": session, "service": service, "duration": duration.as_secs() });
        self.credentials("roles/assume", &asked)
    }

    /// What the metadata service of an instance hands out: its profile has to have a role that trusts EC2.
    pub fn instance_credentials(&self, instance: &str) -> Credentials {
        self.credentials("instances/credentials", &json!({ "instance_id": instance, "region": self.region }))
    }

    /// Keys of the account's root user.
    pub fn root_credentials(&self) -> Credentials {
        self.credentials("root/create", &json!({}))
    }

    /// Keys of a federated user.
    pub fn federated_credentials(&self, name: &str) -> Credentials {
        self.credentials("federated/create", &json!({ "name": name }))
    }

    pub fn deactivate_key(&self, credentials: &Credentials) {
        self.about_key("keys/deactivate", credentials);
    }

    pub fn activate_key(&self, credentials: &Credentials) {
        self.about_key("keys/activate", credentials);
    }

    pub fn delete_key(&self, credentials: &Credentials) {
        self.about_key("keys/delete", credentials);
    }

    /// Temporary credentials end now.
    pub fn expire_credentials(&self, credentials: &Credentials) {
        self.about_key("keys/expire", credentials);
    }

    fn about_key(&self, function: &str, credentials: &Credentials) {
        self.ask(function, &json!({ "access_key_id": credentials.access_key_id }));
    }

    fn credentials(&self, function: &str, parameters: &Value) -> Credentials {
        Credentials::from_json(&self.ask(function, parameters))
    }
}
