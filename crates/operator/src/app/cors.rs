//! Which pages may call the APIs. What is written here is only what is wanted; the reconciler tells the gateways.

mod origin;

use api::cors::{CORS_KEY, Cors, CorsSettings};
use identity::Principal;
use state::{StateError, read, update};

use super::{App, AppError};

/// Every request of a page is compared with them.
const ORIGINS: usize = 100;

impl App {
    pub async fn cors(&self) -> Result<CorsSettings, AppError> {
        Ok(self.store.cors().await?)
    }

    /// Of one API, or of the cluster.
    pub async fn set_cors(&self, api: Option<&str>, wanted: &Cors, caller: &Principal) -> Result<Cors, AppError> {
        let cors = Cors { origins: origin::all(&wanted.origins, ORIGINS)? };
        self.change_cors(api, Some(&cors), caller).await?;
        Ok(cors)
    }

    /// What has no setting is left without one.
    pub async fn unset_cors(&self, api: Option<&str>, caller: &Principal) -> Result<(), AppError> {
        self.change_cors(api, None, caller).await
    }

    async fn change_cors(&self, api: Option<&str>, wanted: Option<&Cors>, caller: &Principal) -> Result<(), AppError> {
        if let Some(api) = api
            && self.store.head(api).await?.is_none()
        {
            return Err(AppError::NoSuchApi(api.to_owned()));
        }
        let changed = self.store.change_cors(api, wanted).await?;
        if changed {
            tracing::info!(api, origins = ?wanted.map(|cors| &cors.origins), by = %caller, "pages that may call changed");
        }
        Ok(())
    }
}

impl super::Store {
    pub async fn cors(&self) -> Result<CorsSettings, StateError> {
        Ok(read(self.state(), CORS_KEY).await?.map(|(settings, _)| settings).unwrap_or_default())
    }

    /// Whether it was something else before.
    pub async fn change_cors(&self, api: Option<&str>, wanted: Option<&Cors>) -> Result<bool, StateError> {
        let change = |present: Option<CorsSettings>| {
            let before = present.unwrap_or_default();
            let mut after = before.clone();
            match (api, wanted) {
                (None, wanted) => after.cluster = wanted.cloned(),
                (Some(api), Some(wanted)) => drop(after.apis.insert(api.to_owned(), wanted.clone())),
                (Some(api), None) => drop(after.apis.remove(api)),
            }
            (after != before).then_some(after)
        };
        Ok(update(self.state(), CORS_KEY, change).await?.is_some())
    }
}
