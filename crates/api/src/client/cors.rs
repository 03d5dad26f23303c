//! What is asked about the pages that may call.

use super::{Client, ClientError, Content};
use crate::{
    cors::{Cors, CorsSettings},
    endpoint::Endpoint,
};

impl Client {
    pub async fn cors(&self) -> Result<CorsSettings, ClientError> {
        self.json(Endpoint::GetCors, &[], Content::none()).await
    }

    /// Of one API, or of the cluster. Answers with what is in force, origins as browsers write them.
    pub async fn set_cors(&self, api: Option<&str>, cors: &Cors) -> Result<Cors, ClientError> {
        let (endpoint, parameters) = match &api {
            Some(api) => (Endpoint::SetApiCors, std::slice::from_ref(api)),
            None => (Endpoint::SetCors, &[][..]),
        };
        self.json(endpoint, parameters, Content::json(cors)?).await
    }

    pub async fn unset_cors(&self, api: Option<&str>) -> Result<(), ClientError> {
        let (endpoint, parameters) = match &api {
            Some(api) => (Endpoint::UnsetApiCors, std::slice::from_ref(api)),
            None => (Endpoint::UnsetCors, &[][..]),
        };
        self.send(endpoint, parameters, "", Content::none()).await.map(drop)
    }
}
