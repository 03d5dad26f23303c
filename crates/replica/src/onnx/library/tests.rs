//! A shell script stands in for the interpreter: it answers `pip download` with a wheel made here, and counts.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use zip::write::SimpleFileOptions;

use super::*;

const CONTENT: &[u8] = b"not really a library";
const LIMIT: Duration = Duration::from_secs(30);

struct Ground {
    directory: tempfile::TempDir,
    status: StatusFile,
    python: PathBuf,
    good: &'static Wheel,
}

fn sha256(bytes: &[u8]) -> &'static str {
    hex::encode(Sha256::digest(bytes)).leak()
}

fn ground() -> Ground {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    archive.start_file(format!("onnxruntime/capi/libonnxruntime.so.{VERSION}"), SimpleFileOptions::default()).unwrap();
    archive.write_all(CONTENT).unwrap();
    let archive = archive.finish().unwrap().into_inner();
    fs::write(path.join("source.whl"), &archive).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n\
         echo run >> {0}/runs\n[ -e {0}/broken ] && {{ cat {0}/broken; exit 1; }}\ncp {0}/source.whl \"$dest/x.whl\"\n",
        path.display()
    );
    let python = path.join("python");
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let status = StatusFile::claim(&path.join("status.json")).unwrap();
    let wheel = Wheel { os: "", arch: "", platform: "any", wheel: sha256(&archive), library: sha256(CONTENT) };
    Ground { status, python, good: Box::leak(Box::new(wheel)), directory }
}

impl Ground {
    async fn fetch(&self, wheel: &'static Wheel) -> Result<PathBuf, Error> {
        cached(wheel, self.directory.path(), &self.python, LIMIT, &self.status).await
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.directory.path().join("runs")).map_or(0, |runs| runs.lines().count())
    }

    /// What lies in the cache.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("onnxruntime").join(VERSION)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn with(&self, change: impl FnOnce(&mut Wheel)) -> &'static Wheel {
        let mut wheel = Wheel { ..*self.good };
        change(&mut wheel);
        Box::leak(Box::new(wheel))
    }
}

#[tokio::test]
async fn fetched_once_by_many_and_again_when_damaged() {
    let ground = Arc::new(ground());
    let fetches: Vec<_> = (0..8)
        .map(|_| {
            let ground = Arc::clone(&ground);
            tokio::spawn(async move { ground.fetch(ground.good).await.unwrap() })
        })
        .collect();
    for fetch in fetches {
        assert_eq!(fs::read(fetch.await.unwrap()).unwrap(), CONTENT);
    }
    assert_eq!(ground.runs(), 1);

    let library = ground.fetch(ground.good).await.unwrap();
    fs::write(&library, "damaged").unwrap();
    fs::create_dir(library.with_file_name(".fetch-of-a-killed-replica")).unwrap();
    ground.fetch(ground.good).await.unwrap();
    assert_eq!((fs::read(&library).unwrap().as_slice(), ground.runs()), (CONTENT, 2));
    assert_eq!(ground.files(), ["libonnxruntime.so", "lock"]);
}

#[tokio::test]
async fn a_wrong_hash_is_refused_and_leaves_nothing() {
    let ground = ground();
    let zeros = sha256(b"something else");
    for wheel in [ground.with(|wheel| wheel.wheel = zeros), ground.with(|wheel| wheel.library = zeros)] {
        let error = ground.fetch(wheel).await.unwrap_err();
        assert!(matches!(&error, Error::WrongHash { want, .. } if want == zeros), "{error}");
        assert_eq!(ground.files(), ["lock"]);
    }
}

#[tokio::test]
async fn says_why_pip_failed() {
    let ground = ground();
    let cases = [
        (
            "/usr/bin/python3: No module named pip",
            "has no pip: install it (Debian: apt install python3-pip python3-venv)",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full: free some space in "),
        (
            "ERROR: No matching distribution found for onnxruntime",
            "No matching distribution found for onnxruntime; or name",
        ),
    ];
    for (output, want) in cases {
        fs::write(ground.directory.path().join("broken"), output).unwrap();
        let message = ground.fetch(ground.good).await.unwrap_err().one_line();
        assert!(message.contains(want), "{message}");
        assert_eq!(ground.files(), ["lock"]);
    }
}

#[tokio::test]
async fn the_setting_wins_and_must_exist() {
    let ground = ground();
    let path = |name| ground.directory.path().join(name);
    let python = Path::new("python");
    fs::write(path("mine.so"), "").unwrap();
    let none = ensure(Path::new("/nowhere"), Some(&path("none.so")), python, LIMIT, &ground.status).await;
    assert!(matches!(none, Err(Error::NoRuntimeLibrary { .. })));
    let mine = ensure(Path::new("/nowhere"), Some(&path("mine.so")), python, LIMIT, &ground.status).await;
    assert_eq!((mine.unwrap(), ground.runs()), (path("mine.so"), 0));
}
