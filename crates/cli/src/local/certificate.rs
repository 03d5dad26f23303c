//! The user's certificate on a cluster of this machine: one PEM file with everything in it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use api::cluster::{ApiCertificate, CERTIFICATE_KEY};
use spec::cluster::Local;
use state::{Expect, State, read, write};
use time::OffsetDateTime;

use crate::{
    certificate::{CERTIFICATES, Chosen, Source, of_files, refused},
    output::say,
    report::Failure,
};

/// What clients are to be shown. `directory`: what the path is relative to.
pub fn choose(local: &Local, directory: &Path) -> Result<Chosen, Failure> {
    let Some(path) = &local.certificate_path else {
        return Ok(Chosen { record: ApiCertificate::Cluster, pem: None });
    };
    let file = directory.join(path);
    let source = Source { field: "certificate_path", file: &file };
    let (chosen, own) = of_files(source, source, OffsetDateTime::now_utc())?;
    match (own.is_self_signed(), local.certificate_is_self_signed) {
        (true, false) => {
            return Err(refused(format!("{}: the certificate is signed by itself", file.display())).hint(
                "clients refuse it unless they are given it: set `certificate_is_self_signed: true` if they are, or use \
                 one that an authority has issued",
            ));
        }
        (false, true) => {
            return Err(refused(format!("{}: the certificate is not signed by itself", file.display()))
                .hint("remove `certificate_is_self_signed`: clients verify it with its issuer"));
        }
        _ => {}
    }
    if let Some(name) = local.host_names.iter().find(|name| own.names().contains(name)) {
        return Err(refused(format!("{}: the certificate is for {name}, which is in `host_names`", file.display()))
            .hint(
                "clients that ask for a name in `host_names` are shown the cluster's own certificate: remove it there",
            ));
    }
    warn_if_open(&file);
    Ok(chosen)
}

/// The key is in it.
fn warn_if_open(file: &Path) {
    let mode = fs::metadata(file).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        let file = file.display();
        say!("warning: {file}: others can read the private key in it; `chmod 600 {file}` keeps it to you");
    }
}

/// Puts it where the gateway looks; whether that is another one than before. A gateway that runs shows it some seconds
/// later, without dropping a connection.
pub async fn publish(state: &dyn State, chosen: &Chosen) -> Result<bool, Failure> {
    let before = read::<ApiCertificate>(state, CERTIFICATE_KEY).await?.map(|(record, _)| record).unwrap_or_default();
    if before == chosen.record {
        return Ok(false);
    }
    let object = match (&chosen.record, &chosen.pem) {
        (ApiCertificate::User { object, .. }, Some(pem)) => {
            write(state, object, pem, &Expect::Anything).await?;
            object.as_str()
        }
        _ => "",
    };
    write(state, CERTIFICATE_KEY, &chosen.record, &Expect::Anything).await?;
    for entry in state.list(CERTIFICATES).await? {
        if entry.key != object {
            state.delete(&entry.key, &Expect::Anything).await?;
        }
    }
    Ok(true)
}

/// For people; nothing where clients see a certificate of the cluster's authority.
pub fn line(certificate: &ApiCertificate) -> Option<String> {
    match certificate {
        ApiCertificate::User { names, not_after, .. } => {
            Some(format!("certificate for {}, valid until {}", names.join(", "), not_after.date()))
        }
        _ => None,
    }
}
