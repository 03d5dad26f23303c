//! Bundles, unpacked: `projects/<sha256>/`, complete or not there at all.

use std::{
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
};

use state::State;
use tar::{Archive, EntryType};

use super::failed;
use crate::{app::bundle_key, engine::EngineError};

/// Files of one project; more is a mistake (a virtual environment, a data set) and would only be slow.
const MAX_FILES: usize = 100_000;

pub(super) fn projects(data: &Path) -> PathBuf {
    data.join("projects")
}

/// The unpacked project, unpacking it if it is not there yet.
///
/// # Errors
///
/// The State has no such bundle, or it is not one that our command line made, or the disk is full.
pub async fn unpack(data: &Path, state: &dyn State, sha256: &str) -> Result<PathBuf, EngineError> {
    let projects = projects(data);
    fs::create_dir_all(&projects).map_err(|error| failed(&projects, &error))?;
    let target = projects.join(sha256);
    if target.is_dir() {
        return Ok(target);
    }
    let staging = projects.join(format!("{sha256}.{}", uuid::Uuid::now_v7().simple()));
    let archive = staging.with_extension("tar");
    let found = state.get_blob(&bundle_key(sha256), &archive).await;
    let outcome = match found {
        Ok(true) => {
            let (archive, staging, target) = (archive.clone(), staging.clone(), target.clone());
            tokio::task::spawn_blocking(move || place(&archive, &staging, &target))
                .await
                .unwrap_or_else(|error| Err(EngineError::Failed(error.to_string())))
        }
        Ok(false) => Err(EngineError::NoBundle(sha256.to_owned())),
        Err(error) => Err(EngineError::Failed(error.to_string())),
    };
    let _ = fs::remove_file(&archive);
    let _ = fs::remove_dir_all(&staging);
    outcome.map(|()| target)
}

fn place(archive: &Path, staging: &Path, target: &Path) -> Result<(), EngineError> {
    extract(archive, staging)?;
    match fs::rename(staging, target) {
        // Somebody else was quicker with the same content.
        Err(_) if target.is_dir() => Ok(()),
        outcome => outcome.map_err(|error| failed(target, &error)),
    }
}

/// Takes plain files and directories inside the target only; an archive with anything else was not made by our CLI.
fn extract(archive: &Path, staging: &Path) -> Result<(), EngineError> {
    let damaged = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => EngineError::DiskFull(staging.to_owned()),
        _ => EngineError::BadBundle(error.to_string()),
    };
    fs::create_dir_all(staging).map_err(|error| failed(staging, &error))?;
    let mut archive = Archive::new(File::open(archive).map_err(|error| failed(archive, &error))?);
    for (count, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        let plain = matches!(kind, EntryType::Regular | EntryType::Directory);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain || !inside {
            return Err(EngineError::BadBundle(format!("`{}` is not a plain file in the project", path.display())));
        }
        if count >= MAX_FILES {
            return Err(EngineError::BadBundle(format!("it has more than {MAX_FILES} files")));
        }
        entry.unpack_in(staging).map_err(damaged)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(directory: &Path, entries: &[(&str, EntryType, &[u8])]) -> PathBuf {
        let path = directory.join("bundle.tar");
        let mut builder = tar::Builder::new(File::create(&path).expect("writable"));
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").expect("it fits");
            }
            header.set_cksum();
            builder.append(&header, *content).expect("writable");
        }
        builder.finish().expect("writable");
        path
    }

    #[test]
    fn a_plain_project_is_unpacked() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file =
            archive(directory.path(), &[("a.py", EntryType::Regular, b"1"), ("d/b.py", EntryType::Regular, b"2")]);
        let target = directory.path().join("out");
        extract(&file, &target).expect("a plain project");
        assert_eq!(fs::read(target.join("d/b.py")).expect("it is there"), b"2");
    }

    #[test]
    fn nothing_leaves_the_project() {
        for (name, kind) in [
            ("../evil", EntryType::Regular),
            ("/evil", EntryType::Regular),
            ("d/../../evil", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("link", EntryType::Link),
            ("device", EntryType::Char),
        ] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let file = archive(directory.path(), &[(name, kind, b"")]);
            let outcome = extract(&file, &directory.path().join("deep/out"));
            assert!(matches!(outcome, Err(EngineError::BadBundle(_))), "{name} {kind:?}: {outcome:?}");
            assert!(!directory.path().join("evil").exists() && !directory.path().join("deep/evil").exists());
        }
    }

    #[test]
    fn a_truncated_bundle_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = archive(directory.path(), &[("a.py", EntryType::Regular, &[b'x'; 5000])]);
        let whole = fs::read(&file).expect("readable");
        fs::write(&file, &whole[..2000]).expect("writable");
        assert!(matches!(extract(&file, &directory.path().join("out")), Err(EngineError::BadBundle(_))));
    }
}
