//! The ONNX Runtime library: the file named in the settings, or the one inside the pinned wheel of PyPI's `onnxruntime`.
//!
//! The wheel is fetched with `pip`, so whatever index, proxy or certificate the machine has configured is used, and it
//! is trusted for its hash alone. The library is kept at `<cache>/onnxruntime/<version>/` and hashed again at every
//! start (tens of milliseconds); a damaged one is fetched again. All of this happens under a lock, and files appear
//! under their names complete or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{process::Command, task::spawn_blocking};

use crate::{
    command::{Outcome, disk_full, missing_module, pip_reason, run_tool},
    error::Error,
    file_lock::lock,
    status::StatusFile,
};

/// The version that `ort` was made for.
pub(super) const VERSION: &str = "1.31.1";
/// What the library is called, wherever it lies.
pub const LIBRARY: &str = "libonnxruntime.so";
/// 29 MB, on a slow line.
const FETCH_LIMIT: Duration = Duration::from_secs(600);
/// Of directories in which a fetch is under way.
const FETCH_PREFIX: &str = ".fetch-";

/// A wheel of `onnxruntime` [`VERSION`] and the library in it.
#[derive(Debug)]
pub(super) struct Wheel {
    /// As `std::env::consts` has them.
    os: &'static str,
    arch: &'static str,
    /// Platform tag of the wheel (PEP 600).
    platform: &'static str,
    /// SHA-256, hex.
    wheel: &'static str,
    library: &'static str,
}

/// Taken from the wheels for CPython 3.11 as PyPI serves them; the library is the same in those of other versions.
const WHEELS: [Wheel; 2] = [
    Wheel {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        wheel: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
];

impl Wheel {
    /// The one for this machine.
    pub(super) fn here() -> Result<&'static Self, Error> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let known = WHEELS.iter().find(|wheel| wheel.os == os && wheel.arch == arch);
        // The wheels are linked against glibc.
        known
            .filter(|_| cfg!(target_env = "gnu"))
            .ok_or_else(|| Error::NoRuntimeForPlatform { version: VERSION, platform: format!("{os} on {arch}") })
    }
}

/// The library for the machines of a cluster on AWS, whatever this machine is; fetched with `python`'s pip if `cache` does
/// not have it.
///
/// # Errors
///
/// It cannot be fetched, or is not the pinned one.
pub async fn library_for_nodes(cache: &Path, python: &Path) -> Result<PathBuf, Error> {
    let cache = cache.join("nodes");
    fs::create_dir_all(&cache).map_err(Error::io("create", &cache))?;
    let status = tempfile::Builder::new().prefix(FETCH_PREFIX).tempdir_in(&cache);
    let status = status.map_err(Error::io("create a directory in", &cache))?;
    let status = StatusFile::claim(&status.path().join("status.json"))?;
    cached(&WHEELS[0], &cache, python, FETCH_LIMIT, &status).await
}

/// The library to load: the one in the settings if there is one, or else the cached one.
pub(super) async fn ensure(
    cache: &Path,
    setting: Option<&Path>,
    python: &Path,
    limit: Duration,
    status: &StatusFile,
) -> Result<PathBuf, Error> {
    match setting {
        Some(path) if path.is_file() => Ok(path.to_owned()),
        Some(path) => Err(Error::NoRuntimeLibrary { path: path.to_owned() }),
        None => cached(Wheel::here()?, cache, python, limit, status).await,
    }
}

/// The library of `wheel`, fetched if it is not there or damaged.
async fn cached(
    wheel: &'static Wheel,
    cache: &Path,
    python: &Path,
    limit: Duration,
    status: &StatusFile,
) -> Result<PathBuf, Error> {
    let directory = cache.join("onnxruntime").join(VERSION);
    fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let directory = std::path::absolute(&directory).map_err(Error::io("find", &directory))?;
    let library = directory.join(LIBRARY);
    let _lock = lock(&directory.join("lock"), || {
        // A status that cannot be written is reported by the next one that must be.
        let _ = status.starting("waiting for another replica to fetch ONNX Runtime");
    })
    .await?;
    if library.exists() {
        match check(&library, wheel.library).await {
            Ok(()) => return Ok(library),
            Err(error @ Error::WrongHash { .. }) => tracing::warn!("{error}; fetching it again"),
            Err(error) => return Err(error),
        }
    }
    remove_leftovers(&directory)?;
    status.starting(&format!("fetching ONNX Runtime {VERSION}"))?;
    let staging = tempfile::Builder::new()
        .prefix(FETCH_PREFIX)
        .tempdir_in(&directory)
        .map_err(Error::io("create a directory in", &directory))?;
    let fetched = download(wheel, staging.path(), python, limit).await?;
    check(&fetched, wheel.wheel).await?;
    let target = library.clone();
    blocking(move || install(wheel, &fetched, &target)).await?;
    tracing::info!("fetched ONNX Runtime {VERSION}");
    Ok(library)
}

/// The downloaded wheel in `into`.
async fn download(wheel: &Wheel, into: &Path, python: &Path, limit: Duration) -> Result<PathBuf, Error> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        .args(["--no-cache-dir", "--no-deps", "--only-binary", ":all:"])
        .args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"])
        .args(["--platform", wheel.platform, "--dest"])
        .arg(into)
        .arg(format!("onnxruntime=={VERSION}"));
    if let Outcome::Failed(lines) = run_tool(command, python, "fetching ONNX Runtime", limit).await? {
        let known = missing_module(python, &lines).or_else(|| disk_full(into, &lines));
        return Err(known.unwrap_or_else(|| not_fetched(&pip_reason(&lines))));
    }
    let entries = fs::read_dir(into).map_err(Error::io("read", into))?;
    let wheel = entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "whl"));
    wheel.ok_or_else(|| not_fetched("pip brought no wheel"))
}

fn not_fetched(reason: &str) -> Error {
    let reason = format!("{reason}; or name a library file in `onnxruntime_library`");
    Error::FetchRuntime { version: VERSION, reason }
}

/// Unpacks the library beside the wheel, checks it, and moves it to its place.
fn install(wheel: &Wheel, archive: &Path, target: &Path) -> Result<(), Error> {
    let unreadable = |error: zip::result::ZipError| not_fetched(&format!("the wheel cannot be read: {error}"));
    let file = File::open(archive).map_err(Error::io("open", archive))?;
    let mut archive_reader = zip::ZipArchive::new(file).map_err(unreadable)?;
    let mut member = archive_reader.by_name(&format!("onnxruntime/capi/{LIBRARY}.{VERSION}")).map_err(unreadable)?;
    let staged = archive.with_extension("so");
    let mut output = File::create(&staged).map_err(Error::io("create", &staged))?;
    let got = copy_hashing(&mut member, &mut output).map_err(Error::io("write", &staged))?;
    compare(&staged, &got, wheel.library)?;
    output.sync_all().map_err(Error::io("write", &staged))?;
    fs::rename(&staged, target).map_err(Error::io("create", target))?;
    let directory = target.parent().unwrap_or(target);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(Error::io("write", directory))
}

/// What a killed replica left behind. Only called under the lock.
fn remove_leftovers(directory: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(Error::io("read", directory))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FETCH_PREFIX)) {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Compares a file with its SHA-256.
async fn check(path: &Path, want: &'static str) -> Result<(), Error> {
    let path = path.to_owned();
    blocking(move || {
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let got = copy_hashing(&mut file, &mut io::sink()).map_err(Error::io("read", &path))?;
        compare(&path, &got, want)
    })
    .await
}

fn compare(path: &Path, got: &str, want: &str) -> Result<(), Error> {
    if got == want {
        return Ok(());
    }
    let what = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Err(Error::WrongHash { what, got: got.to_owned(), want: want.to_owned() })
}

/// Copies all of `from` and returns the SHA-256 of it.
fn copy_hashing(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => {
                hash.update(&buffer[..length]);
                to.write_all(&buffer[..length])?;
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.expect("the work does not panic and is not aborted")
}

#[cfg(test)]
mod tests;
