//! The operator's route table. The server builds its router from it and the tests walk it, so a route cannot exist
//! without a handler, an access class and a row in the refusal test.

use http::Method;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port. Says nothing about the cluster.
    Public,
    /// Callers with the role `read` or more.
    Read,
    /// Callers with the role `deploy` or more.
    Deploy,
    /// Callers with the role `admin`.
    Admin,
}

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])+ $name:ident => $method:ident $path:literal, $access:ident;)+) => {
        /// Every route of the operator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Endpoint {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Endpoint {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub fn method(self) -> Method {
                match self { $(Self::$name => Method::$method),+ }
            }

            /// The path, with parameters as `{name}`.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path),+ }
            }

            pub fn access(self) -> Access {
                match self { $(Self::$name => Access::$access),+ }
            }

            /// One line for people.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

endpoints! {
    /// Whether the operator answers at all.
    Health => GET "/healthz", Public;
    /// This contract as an OpenAPI 3.1 document.
    OpenApi => GET "/v1/openapi.json", Public;
    /// The cluster: name, provider, versions, addresses.
    Info => GET "/v1/info", Read;
    /// Whether a bundle has been uploaded: 204 or 404.
    HasBundle => GET "/v1/bundles/{sha256}", Deploy;
    /// Uploads a bundle; its SHA-256 must be the one in the path.
    PutBundle => PUT "/v1/bundles/{sha256}", Deploy;
    /// Creates or updates APIs from an uploaded bundle.
    Deploy => POST "/v1/deploy", Deploy;
    /// All APIs.
    ListApis => GET "/v1/apis", Read;
    /// One API with its replicas.
    GetApi => GET "/v1/apis/{name}", Read;
    /// Deletes an API.
    DeleteApi => DELETE "/v1/apis/{name}", Deploy;
    /// Log lines of an API, as JSON lines; with `follow=true` until the caller hangs up.
    Logs => GET "/v1/apis/{name}/logs", Read;
    /// The value of a key for all APIs: of the one made with the cluster, if it is there.
    GetApiKey => GET "/v1/api-key", Admin;
    /// All API keys, without their values.
    ListApiKeys => GET "/v1/api-keys", Admin;
    /// Makes an API key.
    CreateApiKey => POST "/v1/api-keys", Admin;
    /// One API key with its value.
    GetNamedApiKey => GET "/v1/api-keys/{name}", Admin;
    /// Gives an API key a new value; the former one is accepted for a while.
    RotateApiKey => POST "/v1/api-keys/{name}/rotate", Admin;
    /// Ends an API key at once.
    RevokeApiKey => DELETE "/v1/api-keys/{name}", Admin;
    /// Which web pages may call the APIs from a browser.
    GetCors => GET "/v1/cors", Read;
    /// Sets which pages may call all APIs that have no setting of their own.
    SetCors => PUT "/v1/cors", Admin;
    /// No page may call, unless an API's own setting says so.
    UnsetCors => DELETE "/v1/cors", Admin;
    /// Sets which pages may call one API.
    SetApiCors => PUT "/v1/apis/{name}/cors", Admin;
    /// Lets the cluster's setting be in force for an API.
    UnsetApiCors => DELETE "/v1/apis/{name}/cors", Admin;
    /// Gives a session token for this proof of identity: 15 minutes of looking without another one.
    Session => POST "/v1/session", Read;
    /// Metrics of this operator, of the gateway beside it and of all replicas, for Prometheus.
    Metrics => GET "/v1/metrics", Read;
    /// Who asked for what since a moment, and whether it was allowed.
    Audit => GET "/v1/audit", Admin;
}

impl Endpoint {
    /// Whether a call can change anything.
    pub fn changes(self) -> bool {
        self.method() != Method::GET
    }

    /// The path with its parameters filled in, each percent-encoded.
    pub fn path_with(self, parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let filled = self.path().split('/').map(|segment| {
            if segment.starts_with('{') {
                let value = parameters.next().copied().unwrap_or_default();
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
            } else {
                segment.to_owned()
            }
        });
        filled.collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_cannot_leave_their_segment() {
        assert_eq!(Endpoint::GetApi.path_with(&["iris"]), "/v1/apis/iris");
        assert_eq!(Endpoint::Logs.path_with(&["../info?x"]), "/v1/apis/%2E%2E%2Finfo%3Fx/logs");
    }

    #[test]
    fn no_two_routes_are_the_same() {
        for (position, left) in Endpoint::ALL.iter().enumerate() {
            for right in &Endpoint::ALL[position + 1..] {
                assert!((left.method(), left.path()) != (right.method(), right.path()), "{left:?} and {right:?}");
            }
        }
    }
}
