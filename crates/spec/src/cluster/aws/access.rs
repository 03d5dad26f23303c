//! Identities: keys, who may use the operator, additional policies, the certificate.

use super::{AccessRule, Certificate, Credentials, Role, names, written};
use crate::{
    Secret,
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    rules::{file, only},
    yaml::Tree,
};

/// IAM's default quota of managed policies per role.
const MAX_POLICIES: usize = 10;

/// One of the two pairs of keys; both halves or none.
pub(super) fn credentials(
    document: &mut Document<'_>,
    prefix: &str,
    id: Option<At<String>>,
    secret: Option<At<String>>,
) -> Option<Credentials> {
    let id_key = format!("{prefix}aws_access_key_id");
    let secret_key = format!("{prefix}aws_secret_access_key");
    for (one, other) in [(&id_key, &secret_key), (&secret_key, &id_key)] {
        if document.has(Tree::ROOT, one) && !document.has(Tree::ROOT, other) {
            let refusal = Refusal::conflict(format!("needs `{other}` too"))
                .help("or remove it, and use the standard AWS settings or an instance role");
            document.refuse_field(Tree::ROOT, one, refusal);
        }
    }
    let access_key_id = document.optional(id, access_key_id);
    let secret_access_key = document.optional(secret, secret_access_key);
    Some(Credentials { access_key_id: access_key_id?, secret_access_key: secret_access_key? })
}

/// `AKIA...`: "IAM identifiers", IAM user guide. Temporary keys (`ASIA...`) need a token, for which there is no field.
fn access_key_id(id: String) -> Result<String, Refusal> {
    if id.starts_with("ASIA") {
        return Err(Refusal::invalid("this is a temporary access key, which ends with its session")
            .help("use the standard AWS settings for temporary credentials"));
    }
    let ok = (16..=128).contains(&id.len()) && only(&id, "");
    if ok { Ok(id) } else { Err(Refusal::invalid("this is not an AWS access key id").help("it begins with `AKIA`")) }
}

/// Says nothing of what it was given.
fn secret_access_key(secret: String) -> Result<Secret, Refusal> {
    let ok = (16..=128).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic());
    if ok { Ok(Secret::new(secret)) } else { Err(Refusal::invalid("this is not an AWS secret access key")) }
}

pub(super) fn operator_access(
    document: &mut Document<'_>,
    written: Option<At<Vec<At<written::AccessRule>>>>,
) -> Vec<AccessRule> {
    let Some(written) = written else { return Vec::new() };
    if written.value.is_empty() {
        let refusal = Refusal::range("an empty list would let nobody in")
            .help("remove it to make every IAM user and role of the account an admin");
        document.refuse(written.node, refusal);
    }
    let (mut principals, mut rules) = (Vec::new(), Vec::new());
    for At { value: rule, node } in written.value {
        let help = "the ARN of an IAM user or role, for example arn:aws:iam::123456789012:role/deployers";
        let principal = document.required(node, "principal", rule.principal, help);
        let role = document.required(node, "role", rule.role, "admin, deploy or read");
        if let Some(principal) = principal {
            let at = principal.node;
            let checked = document.check(principal, self::principal);
            principals.extend(checked.clone().map(|value| At { value, node: at }));
            let role = role.map_or(Role::Read, |role| role.value);
            rules.extend(checked.map(|principal| AccessRule { principal, role }));
        }
    }
    document.distinct(&principals, |_, line| {
        Refusal::new(Kind::DuplicateValue, format!("this principal already has the role of line {line}"))
            .help("the first rule that matches decides: keep one")
    });
    rules
}

/// "IAM ARNs", IAM user guide. A role's sessions have the role's ARN here: the operator maps them.
fn principal(text: String) -> Result<String, Refusal> {
    if names::arn(&text, "sts").is_some() {
        return Err(Refusal::invalid(format!("`{text}` is one session of a role"))
            .help("write the role itself: arn:aws:iam::<account>:role/<name>"));
    }
    let refuse = |why: &str| Err(Refusal::invalid(format!("`{text}` {why}")));
    let Some([region, account, resource]) = names::arn(&text, "iam") else {
        return refuse("is not the ARN of an IAM user or role")
            .map_err(|r: Refusal| r.help("for example arn:aws:iam::123456789012:role/deployers"));
    };
    let stem = resource.strip_suffix('*').unwrap_or(resource);
    if resource.ends_with('*') && stem.strip_prefix("role/").is_some_and(|path| path.contains('/')) {
        return refuse("has a wildcard after a role's path, which AWS does not tell when a role is used")
            .map_err(|r| r.help("name each role, or give them names that begin alike"));
    }
    if stem.contains('*') || account.contains('*') || text.contains('?') {
        return refuse("has a wildcard that is not at its end");
    }
    if stem == "root" {
        return refuse("is the account's root, which has no access").map_err(|r| r.help("use an IAM user or role"));
    }
    let name = stem.strip_prefix("user/").or_else(|| stem.strip_prefix("role/"));
    let ok = name.is_some_and(|name| only(name, "+=,.@_-/") && (!name.is_empty() || resource.ends_with('*')));
    if !(ok && region.is_empty() && names::account(account)) {
        return refuse("is not the ARN of an IAM user or role")
            .map_err(|r| r.help("for example arn:aws:iam::123456789012:role/deployers"));
    }
    Ok(text)
}

pub(super) fn policies(document: &mut Document<'_>, written: Option<At<Vec<At<String>>>>) -> Vec<String> {
    let Some(written) = written else { return Vec::new() };
    if written.value.len() > MAX_POLICIES {
        let message = format!("at most {MAX_POLICIES} policies are possible, there are {}", written.value.len());
        document.refuse(written.node, Refusal::range(message).help("IAM's limit per role: merge some into one policy"));
    }
    document.distinct(&written.value, |_, line| {
        Refusal::new(Kind::DuplicateValue, format!("this policy is already in line {line}")).help("keep one of the two")
    });
    written.value.into_iter().filter_map(|arn| document.check(arn, policy)).collect()
}

fn policy(text: String) -> Result<String, Refusal> {
    let ok = names::arn(&text, "iam").is_some_and(|[region, account, resource]| {
        let name = resource.strip_prefix("policy/").unwrap_or("");
        region.is_empty() && (account == "aws" || names::account(account)) && !name.is_empty() && only(name, "+=,.@_-/")
    });
    if ok {
        return Ok(text);
    }
    Err(Refusal::invalid(format!("`{text}` is not the ARN of an IAM policy"))
        .help("for example arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"))
}

/// Takes its fields out of `written`.
pub(super) fn certificate(
    document: &mut Document<'_>,
    written: &mut written::Written,
    region: Option<&str>,
) -> Certificate {
    let [chain, key] = ["ssl_certificate_path", "ssl_private_key_path"];
    for (one, other) in [(chain, key), (key, chain)] {
        if document.has(Tree::ROOT, one) && !document.has(Tree::ROOT, other) {
            document.refuse_field(Tree::ROOT, one, Refusal::conflict(format!("needs `{other}` too")));
        }
        if document.has(Tree::ROOT, one) && document.has(Tree::ROOT, "ssl_certificate_arn") {
            let refusal = Refusal::conflict("not together with `ssl_certificate_arn`")
                .help("a load balancer has one certificate: remove one of the two");
            document.refuse_field(Tree::ROOT, one, refusal);
        }
    }
    let arn = document.optional(written.ssl_certificate_arn.take(), |arn| certificate_arn(arn, region));
    let chain = document.optional(written.ssl_certificate_path.take(), file);
    let key = document.optional(written.ssl_private_key_path.take(), file);
    match (arn, chain, key) {
        (Some(arn), ..) => Certificate::Acm { arn },
        (None, Some(certificate_path), Some(private_key_path)) => {
            Certificate::Files { certificate_path, private_key_path }
        }
        _ => Certificate::Cluster,
    }
}

fn certificate_arn(text: String, region: Option<&str>) -> Result<String, Refusal> {
    let parts = names::arn(&text, "acm").filter(|[_, account, resource]| {
        let id = resource.strip_prefix("certificate/").unwrap_or("");
        names::account(account) && !id.is_empty() && only(id, "-")
    });
    match (parts, region) {
        (None, _) => Err(Refusal::invalid(format!("`{text}` is not the ARN of an ACM certificate"))
            .help("for example arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef")),
        (Some([of, ..]), Some(region)) if of != region => {
            Err(Refusal::conflict(format!("this certificate is in {of}, the cluster in {region}"))
                .help("a load balancer takes only certificates of its own region"))
        }
        _ => Ok(text),
    }
}
