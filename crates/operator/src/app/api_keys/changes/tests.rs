use super::*;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn wanted(name: &str) -> CreateApiKey {
    CreateApiKey { name: name.to_owned(), kind: ApiKeyKind::Api, apis: None, description: String::new(), expires: None }
}

fn created(keys: &mut Keys, wanted: &CreateApiKey) -> Result<KeyHash, &'static str> {
    let change = Change::Create { wanted, by: "me".to_owned() };
    change.apply(keys, &format!("hash of {}", wanted.name), NOW).map_err(|error| kind(&error))
}

fn rotated(keys: &mut Keys, sha256: &str, overlap_seconds: u64, now: OffsetDateTime) -> Result<KeyHash, &'static str> {
    let how = RotateApiKey { overlap_seconds, expires: None };
    Change::Rotate { name: "ci", how: &how }.apply(keys, sha256, now).map_err(|error| kind(&error))
}

fn kind(error: &AppError) -> &'static str {
    match error {
        AppError::Invalid { kind, .. } => kind,
        AppError::ApiKeyNameTaken(_) => "taken",
        AppError::NoSuchApiKey(_) => "unknown",
        other => panic!("{other}"),
    }
}

/// Hash and seconds since [`NOW`] of every value.
fn values(key: &KeyHash) -> Vec<(&str, Option<i64>)> {
    key.values().map(|(sha256, end)| (sha256, end.map(|end| (end - NOW).whole_seconds()))).collect()
}

#[test]
fn a_key_is_made_once_and_with_a_scope_that_makes_sense() {
    let mut keys = Keys::default();
    let both = CreateApiKey { apis: Some(vec!["b".into(), "a".into(), "b".into()]), ..wanted("ci") };
    let key = created(&mut keys, &both).expect("it is made");
    assert_eq!(key.apis.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
    assert_eq!((key.created_by.as_deref(), key.created_at), (Some("me"), Some(NOW)));
    assert_eq!(created(&mut keys, &wanted("ci")), Err("taken"));
    let none = CreateApiKey { apis: Some(Vec::new()), ..wanted("none") };
    assert_eq!(created(&mut keys, &none), Err("api_key.bad_scope"));
    for kind in [ApiKeyKind::Admin, ApiKeyKind::Monitor] {
        let scoped = CreateApiKey { kind, apis: Some(vec!["a".into()]), ..wanted("scoped") };
        assert_eq!(created(&mut keys, &scoped), Err("api_key.bad_scope"));
        created(&mut keys, &CreateApiKey { kind, ..wanted(kind.name()) }).expect("it is made");
    }
    assert_eq!(keys.keys.iter().map(|key| &*key.id).collect::<Vec<_>>(), ["ci", "admin", "monitor"]);
    assert_eq!(keys.keys.iter().filter(|key| opens_any(key, NOW)).count(), 2);
    assert_eq!(keys.keys.iter().filter(|key| opens_all(key, NOW)).count(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut keys = Keys::default();
    for name in ["", "-a", "a-", "A", "a b", "a/b", "ü", &"a".repeat(43)] {
        assert_eq!(created(&mut keys, &wanted(name)), Err("api_key.bad_name"), "{name}");
    }
    for description in ["two\nlines", &"x".repeat(201)] {
        let bad = CreateApiKey { description: description.to_owned(), ..wanted("ci") };
        assert_eq!(created(&mut keys, &bad), Err("api_key.bad_description"));
    }
    for expires in [Expiry::In(0), Expiry::In(u64::MAX), Expiry::At(NOW)] {
        let bad = CreateApiKey { expires: Some(expires), ..wanted("ci") };
        assert_eq!(created(&mut keys, &bad), Err("api_key.bad_expiry"));
    }
    assert_eq!(rotated(&mut keys, "new", 1, NOW), Err("unknown"));
    assert_eq!(revoke(&mut keys, "ci").map_err(|error| kind(&error)), Err("unknown"));
    assert_eq!(keys, Keys::default());
    for number in 0..KEYS {
        created(&mut keys, &wanted(&format!("k{number}"))).expect("there is room");
    }
    assert_eq!(created(&mut keys, &wanted("ci")), Err("api_key.too_many"));
}

#[test]
fn a_rotation_ends_the_former_values_and_none_later_than_they_would_have() {
    let mut keys = Keys::default();
    created(&mut keys, &wanted("ci")).expect("it is made");
    let key = rotated(&mut keys, "second", 100, NOW).expect("it is rotated");
    assert_eq!(values(&key), [("second", None), ("hash of ci", Some(100))]);
    let key = rotated(&mut keys, "third", 500, NOW + Duration::seconds(10)).expect("it is rotated");
    assert_eq!(values(&key), [("third", None), ("second", Some(510)), ("hash of ci", Some(100))]);
    let key = rotated(&mut keys, "fourth", 20, NOW + Duration::seconds(100)).expect("it is rotated");
    assert_eq!(values(&key), [("fourth", None), ("third", Some(120)), ("second", Some(120))]);
    let key = rotated(&mut keys, "fifth", 0, NOW + Duration::seconds(101)).expect("it is rotated");
    assert_eq!(values(&key), [("fifth", None)]);
    assert_eq!(keys.keys, [key]);
    assert_eq!(rotated(&mut keys, "sixth", u64::MAX, NOW), Err("api_key.bad_overlap"));
    for number in 1..VALUES_OF_A_KEY {
        rotated(&mut keys, &number.to_string(), 100, NOW).expect("there is room");
    }
    assert_eq!(rotated(&mut keys, "more", 100, NOW), Err("api_key.too_many_values"));
}

#[test]
fn a_rotation_neither_prolongs_nor_revives_unless_asked_to() {
    let mut keys = Keys::default();
    created(&mut keys, &CreateApiKey { expires: Some(Expiry::In(60)), ..wanted("ci") }).expect("it is made");
    let key = rotated(&mut keys, "second", 100, NOW).expect("it is rotated");
    assert_eq!(values(&key), [("second", Some(60)), ("hash of ci", Some(60))]);
    let later = NOW + Duration::seconds(60);
    assert!(key.is_expired(later) && !opens_any(&key, later));
    assert_eq!(rotated(&mut keys, "third", 100, later), Err("api_key.expired"));
    let how = RotateApiKey { overlap_seconds: 100, expires: Some(Expiry::In(30)) };
    let key = Change::Rotate { name: "ci", how: &how }.apply(&mut keys, "third", later).expect("it is rotated");
    assert_eq!(values(&key), [("third", Some(90))], "what has expired is not revived");
}
