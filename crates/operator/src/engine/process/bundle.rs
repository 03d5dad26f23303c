//! Bundles, unpacked: `projects/<sha256>/`, complete or not there at all.
//!
//! A bundle is a tar file as our command line writes it, and nothing else is unpacked: plain files and directories inside
//! the project, each file once. It is not compressed, so it takes no more room than it took to send.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Seek as _},
    path::{Component, Path, PathBuf},
};

use state::State;
use tar::{Archive, EntryType};

use super::failed;
use crate::{app::bundle_key, engine::EngineError};

/// Files of one project; more is a mistake (a virtual environment, a data set) and would only be slow.
const MAX_FILES: usize = 100_000;
/// The longest name in front of an entry that has one, and the limit of Linux. The tar library reads it as a whole.
const MAX_NAME_BYTES: u64 = 4096;

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

fn extract(archive: &Path, staging: &Path) -> Result<(), EngineError> {
    let damaged = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => EngineError::DiskFull(staging.to_owned()),
        _ => EngineError::BadBundle(error.to_string()),
    };
    fs::create_dir_all(staging).map_err(|error| failed(staging, &error))?;
    let mut file = File::open(archive).map_err(|error| failed(archive, &error))?;
    survey(&file).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    let mut files = HashSet::new();
    let mut archive = Archive::new(file);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(EngineError::BadBundle(format!("`{}` is not inside the project", path.display())));
        }
        if entry.header().entry_type() == EntryType::Regular && !files.insert(plain(&path)) {
            return Err(EngineError::BadBundle(format!("`{}` is in it twice", path.display())));
        }
        entry.unpack_in(staging).map_err(damaged)?;
    }
    Ok(())
}

/// Without the `./` that may be in front of it.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Refuses, from the headers alone, what is not to be unpacked: the tar library acts on some entries before it shows them.
fn survey(file: &File) -> io::Result<()> {
    let refused = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    let length = file.metadata()?.len();
    let mut archive = Archive::new(file);
    for (count, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
        let entry = entry?;
        let name = || String::from_utf8_lossy(&entry.path_bytes()).chars().take(200).collect::<String>();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory => {}
            EntryType::GNULongName if entry.size() <= MAX_NAME_BYTES => {}
            EntryType::GNULongName => return refused(format!("it has a name of {} bytes", entry.size())),
            _ => return refused(format!("`{}` is neither a file nor a directory", name())),
        }
        if entry.raw_file_position().saturating_add(entry.size()) > length {
            return refused(format!("`{}` is cut off", name()));
        }
        if count >= MAX_FILES {
            return refused(format!("it has more than {MAX_FILES} files"));
        }
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

    /// Why it is refused; nothing of it is anywhere.
    fn refusal(entries: &[(&str, EntryType, &[u8])]) -> String {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = archive(directory.path(), entries);
        match extract(&file, &directory.path().join("deep/out")) {
            Err(EngineError::BadBundle(reason)) => {
                assert!(!directory.path().join("evil").exists() && !directory.path().join("deep/evil").exists());
                reason
            }
            other => panic!("{entries:?}: {other:?}"),
        }
    }

    #[test]
    fn nothing_leaves_the_project() {
        for name in ["../evil", "/evil", "d/../../evil", "./../evil", "//evil"] {
            for kind in [EntryType::Regular, EntryType::Directory] {
                let reason = refusal(&[(name, kind, b"")]);
                assert!(reason.ends_with("is not inside the project"), "{name}: {reason}");
            }
            let reason =
                refusal(&[("././@LongLink", EntryType::GNULongName, name.as_bytes()), ("a", EntryType::Regular, b"")]);
            assert!(reason.ends_with("is not inside the project"), "{name} as a long name: {reason}");
        }
    }

    #[test]
    fn what_is_neither_a_file_nor_a_directory_is_refused() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
            EntryType::Continuous,
            EntryType::GNUSparse,
            EntryType::GNULongLink,
            EntryType::XHeader,
            EntryType::XGlobalHeader,
            EntryType::new(b'Q'),
        ] {
            let reason = refusal(&[("odd", kind, b""), ("odd/evil", EntryType::Regular, b"1")]);
            assert_eq!(reason, "`odd` is neither a file nor a directory", "{kind:?}");
        }
    }

    #[test]
    fn a_file_is_there_once() {
        let reason = refusal(&[("a.py", EntryType::Regular, b"1"), ("./a.py", EntryType::Regular, b"2")]);
        assert_eq!(reason, "`./a.py` is in it twice");
        // As a file and as a directory.
        refusal(&[("a", EntryType::Regular, b"1"), ("a/b", EntryType::Regular, b"2")]);
        refusal(&[("a/b", EntryType::Regular, b"1"), ("a", EntryType::Regular, b"2")]);
    }

    #[test]
    fn what_claims_to_be_large_is_not_believed() {
        let name = vec![b'n'; 64 * 1024 * 1024];
        let reason = refusal(&[("././@LongLink", EntryType::GNULongName, &name), ("a", EntryType::Regular, b"")]);
        assert_eq!(reason, "it has a name of 67108864 bytes");

        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = archive(directory.path(), &[("a.py", EntryType::Regular, b"1")]);
        let mut header = tar::Header::new_gnu();
        header.set_path("huge").expect("it fits");
        header.set_size(1 << 40);
        header.set_cksum();
        let mut content = fs::read(&path).expect("readable");
        content.splice(1024.., header.as_bytes().iter().copied());
        fs::write(&path, content).expect("writable");
        let outcome = extract(&path, &directory.path().join("out"));
        assert!(
            matches!(&outcome, Err(EngineError::BadBundle(reason)) if reason == "`huge` is cut off"),
            "{outcome:?}"
        );
    }

    #[test]
    fn files_have_a_number() {
        let names: Vec<_> = (0..=MAX_FILES).map(|number| format!("f{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Regular, &b""[..])).collect();
        assert_eq!(refusal(&entries), "it has more than 100000 files");
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
