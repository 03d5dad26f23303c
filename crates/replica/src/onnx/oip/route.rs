//! What a path of the protocol asks for.

use super::{super::shown::Shown, Names};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Route {
    Server,
    Live,
    Ready,
    Model,
    ModelReady,
    Infer,
}

/// `None` if the path is not one of the protocol; the text says why one that looks like it leads nowhere.
pub(in super::super) fn route(path: &str, names: &Names) -> Option<Result<Route, String>> {
    let rest = path.strip_prefix("/v2")?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = rest.trim_matches('/').split('/').collect();
    let (model, version, rest) = match parts.as_slice() {
        [""] => return Some(Ok(Route::Server)),
        ["health", "live"] => return Some(Ok(Route::Live)),
        ["health", "ready"] => return Some(Ok(Route::Ready)),
        ["models", model, "versions", version, rest @ ..] => (*model, Some(*version), rest),
        ["models", model, rest @ ..] => (*model, None, rest),
        _ => return Some(Err(nowhere(path, names))),
    };
    if model != names.model {
        let (model, known) = (Shown(model), &names.model);
        return Some(Err(format!("there is no model `{model}` here: its name is that of the API, `{known}`")));
    }
    if let Some(version) = version.filter(|version| *version != names.version) {
        return Some(Err(format!(
            "model `{model}` has no version `{}`: leave the version out, or take `{}`",
            Shown(version),
            names.version
        )));
    }
    Some(match rest {
        [] => Ok(Route::Model),
        ["ready"] => Ok(Route::ModelReady),
        ["infer"] => Ok(Route::Infer),
        _ => Err(nowhere(path, names)),
    })
}

fn nowhere(path: &str, names: &Names) -> String {
    format!(
        "`{}` is not served: GET /v2, /v2/health/live, /v2/health/ready, /v2/models/{model} or \
         /v2/models/{model}/ready, or POST to /v2/models/{model}/infer",
        Shown(path),
        model = names.model
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_the_one_model() {
        let names = Names { model: "digits".to_owned(), version: "v1".to_owned() };
        let to = |path: &str| route(path, &names).and_then(Result::ok);
        assert_eq!(to("/v2"), Some(Route::Server));
        assert_eq!(to("/v2/"), Some(Route::Server));
        assert_eq!(to("/v2/health/live"), Some(Route::Live));
        assert_eq!(to("/v2/health/ready"), Some(Route::Ready));
        assert_eq!(to("/v2/models/digits"), Some(Route::Model));
        assert_eq!(to("/v2/models/digits/"), Some(Route::Model));
        assert_eq!(to("/v2/models/digits/ready"), Some(Route::ModelReady));
        assert_eq!(to("/v2/models/digits/infer"), Some(Route::Infer));
        assert_eq!(to("/v2/models/digits/versions/v1/infer"), Some(Route::Infer));
        for other in ["/", "/v20", "/v2x/health/live", "/x/v2"] {
            assert_eq!(route(other, &names), None, "{other}");
        }
        let why = |path: &str| route(path, &names).unwrap().unwrap_err();
        assert_eq!(
            why("/v2/models/other/infer"),
            "there is no model `other` here: its name is that of the API, `digits`"
        );
        assert_eq!(
            why("/v2/models/digits/versions/1"),
            "model `digits` has no version `1`: leave the version out, or take `v1`"
        );
        for other in ["/v2/models", "/v2/health", "/v2/models/digits/config", "/v2/repository/index", "/v2//models"] {
            assert!(why(other).starts_with(&format!("`{other}` is not served: GET /v2")), "{other}");
        }
    }
}
