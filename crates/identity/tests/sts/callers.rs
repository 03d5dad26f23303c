//! Rows 19 to 21: the three facts of STS are held against each other, and only known kinds of identity pass.

use identity::sts::{Caller, CallerError, CallerKind, Identity, Partition};

use super::fake::ACCOUNT;

const USER: &str = "AIDAALICE00000000001";
const ROLE: &str = "AROADEV0000000000001";

fn read(arn: &str, user_id: &str) -> Result<Caller, CallerError> {
    Caller::read(&Identity { arn: arn.to_owned(), user_id: user_id.to_owned(), account: ACCOUNT.to_owned() })
}

#[test]
fn row_19_every_kind_of_identity_is_read() {
    let user = |path: &str, name: &str| CallerKind::User { path: path.to_owned(), name: name.to_owned() };
    let assumed =
        |role: &str, session: &str| CallerKind::AssumedRole { role: role.to_owned(), session: session.to_owned() };
    for (arn, user_id, kind, unique_id, canonical) in [
        (
            "arn:aws:iam::123456789012:root",
            ACCOUNT.to_owned(),
            CallerKind::Root,
            ACCOUNT,
            "arn:aws:iam::123456789012:root",
        ),
        (
            "arn:aws:iam::123456789012:user/alice",
            USER.to_owned(),
            user("/", "alice"),
            USER,
            "arn:aws:iam::123456789012:user/alice",
        ),
        (
            "arn:aws:iam::123456789012:user/a/b/al.ice+x=1,@-_",
            USER.to_owned(),
            user("/a/b/", "al.ice+x=1,@-_"),
            USER,
            "arn:aws:iam::123456789012:user/a/b/al.ice+x=1,@-_",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role/dev/sess1",
            format!("{ROLE}:sess1"),
            assumed("dev", "sess1"),
            ROLE,
            "arn:aws:iam::123456789012:role/dev",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123/alice@example.com",
            format!("{ROLE}:alice@example.com"),
            assumed("AWSReservedSSO_Admin_0123", "alice@example.com"),
            ROLE,
            "arn:aws:iam::123456789012:role/AWSReservedSSO_Admin_0123",
        ),
        (
            "arn:aws:sts::123456789012:federated-user/bob",
            format!("{ACCOUNT}:bob"),
            CallerKind::FederatedUser { name: "bob".to_owned() },
            "123456789012:bob",
            "arn:aws:sts::123456789012:federated-user/bob",
        ),
    ] {
        let caller = read(arn, &user_id).expect(arn);
        assert_eq!((&caller.kind, caller.unique_id.as_str()), (&kind, unique_id));
        assert_eq!((caller.arn().as_str(), caller.partition), (canonical, Partition::Aws));
    }
    for (partition, name) in [(Partition::AwsCn, "aws-cn"), (Partition::AwsUsGov, "aws-us-gov")] {
        let caller = read(&format!("arn:{name}:iam::{ACCOUNT}:user/alice"), USER).expect(name);
        assert_eq!(caller.partition, partition);
    }
}

#[test]
fn row_19_other_arns_are_refused() {
    for arn in [
        "",
        ":",
        ":/",
        "arn",
        "arn:aws:iam::123456789012",
        "arn:aws:iam::123456789012:",
        "arn:aws:iam::123456789012:user",
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:user//alice",
        "arn:aws:iam::123456789012:user/alice/",
        "arn:aws:iam::123456789012:role/dev",
        "arn:aws:iam::123456789012:instance-profile/x",
        "arn:aws:iam::123456789012:group/x",
        "arn:aws:iam::123456789012:assumed-role/dev/sess1",
        "arn:aws:sts::123456789012:user/alice",
        "arn:aws:sts::123456789012:root",
        "arn:aws:iam::123456789012:root/x",
        "arn:aws:iam::123456789012:Root",
        "arn:aws:s3::123456789012:user/alice",
        "arn:aws:iam:us-east-1:123456789012:user/alice",
        "ARN:aws:iam::123456789012:user/alice",
        "arn:AWS:iam::123456789012:user/alice",
        "arn:aws-iso:iam::123456789012:user/alice",
        "arn:aws-evil:iam::123456789012:user/alice",
        "arn:aws:iam::123456789012:user/alice:x",
        "arn:aws:iam::123456789012:user/al ice",
        "arn:aws:iam::123456789012:user/*",
        "arn:aws:iam::123456789012:user/al?ce",
        "arn:aws:iam::123456789012:user/älice",
        "arn:aws:iam::123456789012:user/a&amp;b/alice",
        "arn:aws:iam::123456789012:user/alice\n",
        " arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:assumed-role/dev",
        "arn:aws:sts::123456789012:assumed-role/dev/",
        "arn:aws:sts::123456789012:assumed-role/dev/s",
        "arn:aws:sts::123456789012:assumed-role//sess1",
        "arn:aws:sts::123456789012:assumed-role/path/dev/sess1",
        "arn:aws:sts::123456789012:assumed-role/aws:ec2-instance/i-0123456789",
        "arn:aws:sts::123456789012:federated-user/",
        "arn:aws:sts::123456789012:federated-user/a/b",
        "arn:aws:sts::123456789012:self",
    ] {
        assert_eq!(read(arn, USER), Err(CallerError::Arn), "{arn:?}");
    }
    let long = "x".repeat(65);
    assert_eq!(read(&format!("arn:aws:iam::{ACCOUNT}:user/{long}"), USER), Err(CallerError::Arn));
}

#[test]
fn row_19_account_and_arn_must_agree() {
    for arn in
        ["arn:aws:iam::210987654321:user/alice", "arn:aws:iam:::user/alice", "arn:aws:iam::12345678901:user/alice"]
    {
        assert_eq!(read(arn, USER), Err(CallerError::AccountsDiffer), "{arn}");
    }
    for account in ["", "12345678901", "1234567890123", "12345678901x", "１23456789012", " 123456789012"] {
        let arn = format!("arn:aws:iam::{account}:user/alice");
        let outcome = Caller::read(&Identity { arn, user_id: USER.to_owned(), account: account.to_owned() });
        assert_eq!(outcome, Err(CallerError::Account), "{account:?}");
    }
}

#[test]
fn row_20_unique_id_and_arn_must_agree() {
    let (user, role) = ("arn:aws:iam::123456789012:user/alice", "arn:aws:sts::123456789012:assumed-role/dev/sess1");
    let federated = "arn:aws:sts::123456789012:federated-user/bob";
    for (arn, ids) in [
        (
            user,
            vec![
                "",
                "AIDA",
                ROLE,
                "AROADEV0000000000001:alice",
                ACCOUNT,
                "aidaalice00000000001",
                "AIDAALICE0000000000-",
                "81t2cwgvl0yl8cj5lrt6",
            ],
        ),
        (
            role,
            vec![
                "",
                ROLE,
                USER,
                "AROADEV0000000000001:sess2",
                "AROADEV0000000000001:",
                "AROADEV0000000000001:sess1:sess1",
                "AIDAALICE00000000001:sess1",
                ":sess1",
                "123456789012:sess1",
                "AROADEV0000000000001:SESS1",
            ],
        ),
        (
            federated,
            vec!["", "bob", "123456789012:eve", "210987654321:bob", "AROADEV0000000000001:bob", "123456789012:bob:bob"],
        ),
        ("arn:aws:iam::123456789012:root", vec!["", USER, "210987654321", "123456789012:root"]),
    ] {
        for id in ids {
            assert_eq!(read(arn, id), Err(CallerError::UniqueId), "{arn} {id:?}");
        }
    }
}

#[test]
fn row_21_the_session_name_is_not_part_of_who_it_is() {
    let one = read("arn:aws:sts::123456789012:assumed-role/dev/admin", &format!("{ROLE}:admin")).expect("it is read");
    let two = read("arn:aws:sts::123456789012:assumed-role/dev/other", &format!("{ROLE}:other")).expect("it is read");
    assert_eq!((one.arn(), one.unique_id), (two.arn(), two.unique_id));
}
