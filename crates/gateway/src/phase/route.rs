//! Phase 4: which API the request is for, and the path that the API sees.
//!
//! Only APIs that the request's key opens are looked at. So the holder of a key for some of them gets exactly the answers
//! that there would be if the others did not exist.

use http::{Method, Request, Uri, uri::PathAndQuery};

use crate::{
    error::Error,
    phase::cors::Pages,
    predictive_services,
    snapshot::{Api, Snapshot},
};
use std::sync::Arc;

/// Finds the API, and cuts its prefix off the request's path.
pub(crate) fn route<B>(
    request: &mut Request<B>,
    snapshot: &Snapshot,
    open: impl Fn(&Api) -> bool,
) -> Result<Arc<Api>, Error> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Error::Method(request.method().clone()));
    }
    let path = normal(request.uri().path())?;
    let (api, rest) = snapshot.find(path, open).ok_or(Error::ApiNotFound)?;
    let uri = origin_form(rest, request.uri().query())?;
    *request.uri_mut() = uri;
    Ok(api)
}

/// The pages that may call that path: of the API that has it, or that an old client means by it; else of the cluster.
pub(crate) fn pages(path: &str, snapshot: &Snapshot) -> Arc<Pages> {
    let api = normal(path).ok().and_then(|path| {
        let has_it = snapshot.find(path, |_| true).map(|(api, _)| api);
        has_it.or_else(|| predictive_services::api_of(path, snapshot))
    });
    api.map_or_else(|| Arc::clone(&snapshot.pages), |api| Arc::clone(&api.pages))
}

/// The path with one slash at its beginning. Refuses what a replica could read in another way than this gateway did,
/// and so leave the API's prefix: dot segments, and slashes in disguise.
pub(crate) fn normal(path: &str) -> Result<&str, Error> {
    let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
    if slashes == 0 {
        return Err(Error::BadRequest("the path does not begin with a slash"));
    }
    if path.bytes().any(|byte| b"%.\\".contains(&byte)) {
        let lower = path.to_ascii_lowercase();
        if ["\\", "%5c", "%2f", "%00"].iter().any(|disguised| lower.contains(disguised)) {
            return Err(Error::BadRequest("the path has an encoded slash, a backslash or a NUL"));
        }
        if lower.split('/').any(|segment| matches!(&*segment.replace("%2e", "."), "." | "..")) {
            return Err(Error::BadRequest("the path has a segment `.` or `..`"));
        }
    }
    Ok(&path[slashes - 1..])
}

/// `rest` is what is left of the path: empty, or beginning with a slash.
pub(crate) fn origin_form(rest: &str, query: Option<&str>) -> Result<Uri, Error> {
    // `//x` would be a host to some (RFC 3986, 4.2).
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() && query.is_none() {
        return Ok(Uri::from_static("/"));
    }
    let text = match query {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    PathAndQuery::try_from(text).map(Uri::from).map_err(|_| Error::BadRequest("the path is not valid"))
}

#[cfg(test)]
mod tests {
    use api::routes::{ApiRoute, Keys, Routes};

    use super::*;

    fn snapshot(endpoints: &[&str]) -> Snapshot {
        let api = |endpoint: &&str| ApiRoute {
            name: (*endpoint).to_owned(),
            endpoint: (*endpoint).to_owned(),
            ..ApiRoute::default()
        };
        Snapshot::new(
            &Routes { apis: endpoints.iter().map(api).collect(), ..Routes::default() },
            &Keys::default(),
            None,
        )
    }

    fn routed(uri: &str, snapshot: &Snapshot) -> Result<(String, String), &'static str> {
        let mut request = Request::builder().uri(uri).body(()).unwrap();
        match route(&mut request, snapshot, |_| true) {
            Ok(api) => Ok((api.name.to_string(), request.uri().to_string())),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins_and_is_cut_off() {
        let snapshot = snapshot(&["/iris", "/team", "/team/iris/v2", "/team/iris"]);
        for (uri, api, rest) in [
            ("/iris", "/iris", "/"),
            ("/iris/", "/iris", "/"),
            ("/iris?a=/team", "/iris", "/?a=/team"),
            ("/iris/foo/bar?x=1&y", "/iris", "/foo/bar?x=1&y"),
            ("/iris/a%20b/", "/iris", "/a%20b/"),
            ("/team/iris", "/team/iris", "/"),
            ("/team/iris2", "/team", "/iris2"),
            ("/team/iris/v2/x", "/team/iris/v2", "/x"),
            ("/team/iris/v22", "/team/iris", "/v22"),
            ("/team//iris", "/team", "/iris"),
            ("//iris/x", "/iris", "/x"),
            ("/iris//evil.test/x", "/iris", "/evil.test/x"),
            ("/iris/a..b/...", "/iris", "/a..b/..."),
            ("https://host.test/iris/x", "/iris", "/x"),
        ] {
            assert_eq!(routed(uri, &snapshot), Ok((api.to_owned(), rest.to_owned())), "{uri}");
        }
        for uri in ["/", "/iris2", "/iri", "/IRIS", "/x/iris", "/%69ris", "/?/iris", &"/".repeat(5000)] {
            assert_eq!(routed(uri, &snapshot), Err("api_not_found"), "{uri}");
        }
    }

    #[test]
    fn a_root_api_gets_what_no_other_does() {
        let snapshot = snapshot(&["/", "/iris"]);
        for (uri, api, rest) in
            [("/", "/", "/"), ("/x/y", "/", "/x/y"), ("/iris2", "/", "/iris2"), ("/iris", "/iris", "/")]
        {
            assert_eq!(routed(uri, &snapshot), Ok((api.to_owned(), rest.to_owned())), "{uri}");
        }
    }

    #[test]
    fn what_a_key_does_not_open_is_not_there() {
        let snapshot = snapshot(&["/team", "/team/iris", "/rose"]);
        for (uri, found) in [
            ("/team/iris/x", Ok(("/team".to_owned(), "/iris/x".to_owned()))),
            ("/rose", Err("api_not_found")),
            ("/nobody", Err("api_not_found")),
        ] {
            let mut request = Request::builder().uri(uri).body(()).unwrap();
            let outcome = route(&mut request, &snapshot, |api| &*api.name == "/team");
            let outcome = outcome.map(|api| (api.name.to_string(), request.uri().to_string()));
            assert_eq!(outcome.map_err(|error| error.kind()), found, "{uri}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        let snapshot = snapshot(&["/iris"]);
        for uri in [
            "/iris/../admin",
            "/iris/..",
            "/./iris",
            "/iris/%2e%2E/x",
            "/iris/.%2e/x",
            "/iris/%2e",
            "/iris%2fx",
            "/iris/..%2Fx",
            "/iris/a%5Cb",
            "/iris/%00",
            "*",
        ] {
            assert_eq!(routed(uri, &snapshot), Err("bad_request"), "{uri}");
        }
        let mut trace = Request::builder().method(Method::TRACE).uri("/iris").body(()).unwrap();
        assert_eq!(route(&mut trace, &snapshot, |_| true).map(drop).unwrap_err().kind(), "method_not_allowed");
    }
}
