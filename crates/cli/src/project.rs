//! The project directory as a bundle: a tar file that depends on nothing but the files' names, contents and whether they
//! can be executed, so that the same project has the same SHA-256 wherever and whenever it is packed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek as _, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ignore::WalkBuilder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{
    home::io_failure,
    report::{Exit, Failure},
};

/// Left out of every bundle, besides what `.cortexignore` (of the form of `.gitignore`) names.
const NEVER: [&str; 9] =
    [".git", ".hg", ".svn", ".venv", ".DS_Store", ".cortexignore", "__pycache__", ".ipynb_checkpoints", "node_modules"];

/// A packed project.
pub struct Bundle {
    /// Unlinked already: gone when closed.
    pub file: File,
    pub sha256: String,
    pub bytes: u64,
    pub files: usize,
}

/// Packs the directory without the configuration file in it that is being deployed: what that says goes to the operator
/// by itself, and a change of it alone, of an endpoint say, must not look like new code.
pub fn pack(directory: &Path, configuration: &Path) -> Result<Bundle, Failure> {
    refuse_top_level(directory)?;
    let mut files = list(directory)?;
    files.retain(|(name, _)| configuration.file_name() != Some(name.as_ref()));
    let file = tempfile::tempfile().map_err(|error| io_failure("make a file in", &std::env::temp_dir(), &error))?;
    let mut sink = Hashing { inner: BufWriter::with_capacity(256 * 1024, file), hash: Sha256::new(), bytes: 0 };
    let mut archive = Builder::new(&mut sink);
    for (name, path) in &files {
        append(&mut archive, name, path).map_err(|error| io_failure("pack", path, &error))?;
    }
    let full = |error: io::Error| io_failure("write a bundle in", &std::env::temp_dir(), &error);
    archive.finish().map_err(full)?;
    drop(archive);
    let Hashing { inner, hash, bytes } = sink;
    let mut file = inner.into_inner().map_err(|error| full(error.into_error()))?;
    file.rewind().map_err(full)?;
    Ok(Bundle { file, sha256: hex::encode(hash.finalize()), bytes, files: files.len() })
}

/// Name in the bundle and path on disk of every file, in the order of the names.
fn list(directory: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut walk = WalkBuilder::new(directory);
    walk.standard_filters(false)
        .add_custom_ignore_filename(".cortexignore")
        .follow_links(true)
        .filter_entry(|entry| !entry.file_name().to_str().is_some_and(|name| NEVER.contains(&name)));
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| {
            Failure::new(Exit::InvalidConfig, "project.unreadable", format!("the project cannot be read: {error}"))
        })?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.into_path();
        let name = path.strip_prefix(directory).ok().and_then(Path::to_str).map(str::to_owned).ok_or_else(|| {
            Failure::new(
                Exit::InvalidConfig,
                "project.bad_name",
                format!("the name of {} is not UTF-8: rename it", path.display()),
            )
        })?;
        files.push((name, path));
    }
    files.sort();
    Ok(files)
}

fn append(archive: &mut Builder<impl Write>, name: &str, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let executable = metadata.permissions().mode() & 0o100 != 0;
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(metadata.len());
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    // A file that grows while it is read must not spill into the next entry.
    archive.append_data(&mut header, name, file.take(metadata.len()))
}

/// A configuration file lying in a home directory would upload all of it.
fn refuse_top_level(directory: &Path) -> Result<(), Failure> {
    let resolved = fs::canonicalize(directory).map_err(|error| io_failure("read", directory, &error))?;
    let is_home = std::env::home_dir().and_then(|home| fs::canonicalize(home).ok()).is_some_and(|h| h == resolved);
    if is_home || resolved.parent().is_none() {
        return Err(Failure::new(
            Exit::InvalidConfig,
            "project.top_level",
            format!("the project directory is {}, all of which would be uploaded", resolved.display()),
        )
        .hint("put cortex.yaml and the files it needs into a directory of their own"));
    }
    Ok(())
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, content: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
        fs::write(path, content).expect("writable");
    }

    fn packed(directory: &Path) -> Bundle {
        pack(directory, &directory.join("cortex.yaml")).expect("it can be packed")
    }

    fn names(bundle: Bundle) -> Vec<String> {
        let mut archive = tar::Archive::new(bundle.file);
        let entries = archive.entries().expect("a tar file");
        entries.map(|entry| entry.expect("whole").path().expect("UTF-8").display().to_string()).collect()
    }

    #[test]
    fn the_hash_depends_on_names_contents_and_the_executable_bit_only() {
        let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for name in ["z.py", "a/b.py", "model.onnx"] {
            write(one.path(), name, name);
        }
        for name in ["model.onnx", "a/b.py", "z.py"] {
            write(two.path(), name, name);
        }
        let hash = |directory: &Path| packed(directory).sha256;
        assert_eq!(hash(one.path()), hash(two.path()));
        fs::set_permissions(two.path().join("z.py"), fs::Permissions::from_mode(0o755)).expect("ours");
        let executable = hash(two.path());
        assert_ne!(hash(one.path()), executable);
        write(two.path(), "z.py", "changed");
        assert_ne!(hash(two.path()), executable);
    }

    #[test]
    fn what_is_not_the_project_stays_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let others = ["data/big.bin", "a/__pycache__/x.pyc", ".git/config", ".venv/bin/python", "cortex.yaml"];
        for name in others.into_iter().chain(["predictor.py", ".env", "data.yaml", "more/cortex.yaml"]) {
            write(directory.path(), name, "x");
        }
        write(directory.path(), ".cortexignore", "data/\n");
        assert_eq!(names(packed(directory.path())), [".env", "data.yaml", "more/cortex.yaml", "predictor.py"]);
    }

    #[test]
    fn a_long_name_survives() {
        let directory = tempfile::tempdir().expect("a directory");
        let name = format!("{}/{}/m.onnx", "d".repeat(120), "e".repeat(120));
        write(directory.path(), &name, "x");
        assert_eq!(names(packed(directory.path())), [name]);
    }
}
