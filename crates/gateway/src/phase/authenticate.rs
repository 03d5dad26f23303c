//! Phase 3: does the request carry a key of this cluster? Comes before routing, so that a stranger cannot find out
//! which APIs there are.
//!
//! A key may be in any of three places, and one good key is enough: a client may send `Authorization` for the user's own
//! server behind the API and our key in `x-api-key`. Whatever carries the accepted key, or has the form of any key of
//! ours, is removed, so that no predictor ever sees one.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use identity::{KeyKind, Secret};

use crate::{
    error::Error,
    keys::{Key, KeySet},
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The good keys that a request came with: one, or two if it had one in each place.
#[derive(Debug)]
pub(crate) struct Keys([Option<Arc<Key>>; 2]);

impl Keys {
    /// The key of a request that has none in its headers.
    pub(crate) fn of(presented: &Secret, keys: &KeySet, now: SystemTime) -> Result<Self, Error> {
        let key = keys.find(presented.expose(), since_1970(now)).ok_or(Error::WrongKey)?;
        Ok(Self([Some(key), None]))
    }

    /// Whether one of them is for that API.
    pub(crate) fn open(&self, api: &str) -> bool {
        self.0.iter().flatten().any(|key| key.opens(api))
    }

    /// Whether one of them is for looking at the gateway itself.
    pub(crate) fn monitor(&self) -> bool {
        self.0.iter().flatten().any(|key| key.monitors())
    }
}

/// Lets the request pass if it has a key, and takes the key out of its headers.
pub(crate) fn authenticate(headers: &mut HeaderMap, keys: &KeySet, now: SystemTime) -> Result<Keys, Error> {
    let own = headers.get(API_KEY).and_then(|value| Some(value.to_str().ok()?.trim()));
    let standard = headers.get(AUTHORIZATION).and_then(credential);
    let standard = standard.as_ref().map(Credential::expose);
    // Both are compared whatever the first comparison says.
    let now = since_1970(now);
    let own_key = own.and_then(|key| keys.find(key, now));
    let standard_key = standard.and_then(|key| keys.find(key, now));
    if own.is_none() && standard.is_none() {
        return Err(Error::NoKey);
    }
    if own_key.is_none() && standard_key.is_none() {
        return Err(Error::WrongKey);
    }
    let has_ours = standard_key.is_some() || standard.is_some_and(|key| KeyKind::Api.is_well_formed(key));
    headers.remove(API_KEY);
    if has_ours {
        headers.remove(AUTHORIZATION);
    }
    Ok(Keys([own_key, standard_key]))
}

/// Whether there is anything that could be a key.
pub(crate) fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key(API_KEY) || headers.contains_key(AUTHORIZATION)
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// What may be a key in `Authorization`.
enum Credential<'a> {
    /// A Bearer token (RFC 6750).
    Token(&'a str),
    /// The password of Basic (RFC 7617), where the user name does not matter.
    Password(Secret),
}

impl Credential<'_> {
    fn expose(&self) -> &str {
        match self {
            Self::Token(token) => token,
            Self::Password(password) => password.expose(),
        }
    }
}

fn credential(value: &HeaderValue) -> Option<Credential<'_>> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credential::Token(rest));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Secret::new(String::from_utf8(STANDARD.decode(rest).ok()?).ok()?);
    let (_, password) = pair.expose().split_once(':')?;
    Some(Credential::Password(Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use api::routes::{KeyHash, Keys};
    use identity::sha256_hex;

    use super::*;

    fn key(seed: u8) -> String {
        KeyKind::Api.key([seed; 32]).expose().to_owned()
    }

    fn keys(seeds: &[u8]) -> KeySet {
        let hash = |seed: &u8| KeyHash { id: seed.to_string(), sha256: sha256_hex(&key(*seed)), ..KeyHash::default() };
        KeySet::new(&Keys { keys: seeds.iter().map(hash).collect() }, None)
    }

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    /// The names of the headers that are left, or the error.
    fn attempt(fields: &[(&str, &str)], keys: &KeySet) -> Result<Vec<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        match authenticate(&mut headers, keys, SystemTime::now()) {
            Ok(_) => Ok(headers.keys().map(ToString::to_string).collect()),
            Err(Error::NoKey) => Err("none"),
            Err(Error::WrongKey) => Err("wrong"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_place_for_a_key_works_and_loses_it() {
        let keys = keys(&[1, 2]);
        for good in [key(1), key(2)] {
            for (name, value) in [
                ("authorization", format!("Bearer {good}")),
                ("authorization", format!("bearer  {good}")),
                ("authorization", basic("", &good)),
                ("authorization", basic("anybody", &good)),
                ("x-api-key", good.clone()),
            ] {
                assert_eq!(attempt(&[(name, &value)], &keys), Ok(Vec::new()), "{name}: {value}");
            }
        }
    }

    #[test]
    fn any_other_key_in_any_place_is_refused() {
        let keys = keys(&[1]);
        let (good, other) = (key(1), key(9));
        for bad in [other.as_str(), "", "x", &good[1..], &good.to_lowercase(), "ü"] {
            let bearer = format!("Bearer {bad}");
            assert_eq!(attempt(&[("authorization", &basic("user", bad))], &keys), Err("wrong"), "{bad}");
            if bad.is_ascii() {
                assert!(attempt(&[("authorization", &bearer)], &keys).is_err(), "{bad}");
                assert_eq!(attempt(&[("x-api-key", bad)], &keys), Err("wrong"), "{bad}");
            }
        }
        for nothing in ["Bearer", "Digest x", "Basic !!!", "Basic", &basic("", &good).replace("Basic ", "")] {
            assert_eq!(attempt(&[("authorization", nothing)], &keys), Err("none"), "{nothing}");
        }
        assert_eq!(attempt(&[], &keys), Err("none"));
        assert_eq!(attempt(&[("x-api-key", &good)], &KeySet::default()), Err("wrong"));
    }

    #[test]
    fn the_users_own_authorization_passes_and_a_key_of_ours_never() {
        let keys = keys(&[1]);
        let (good, old) = (key(1), format!("Bearer {}", key(7)));
        assert_eq!(
            attempt(&[("x-api-key", &good), ("authorization", "Bearer theirs")], &keys).unwrap(),
            ["authorization"]
        );
        assert!(attempt(&[("x-api-key", &good), ("authorization", &old)], &keys).unwrap().is_empty());
        assert!(attempt(&[("x-api-key", "wrong"), ("authorization", &basic("", &good))], &keys).unwrap().is_empty());
    }
}
