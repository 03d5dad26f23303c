//! What nodes run: a binary for them, and ONNX Runtime.

use std::{
    fs,
    path::{Path, PathBuf},
};

use object::{
    Endianness, FileKind,
    elf::{EM_X86_64, FileHeader64},
    read::elf::{FileHeader as _, SectionHeader as _},
};
use provision::desired::Artifact;
use sha2::{Digest as _, Sha256};

use crate::{
    home::{Home, io_failure},
    report::{Exit, Failure},
};

/// Of Amazon Linux 2023, the older of the two systems that the binary runs on; the other one is the containers' Debian 12.
const GLIBC: (u32, u32) = (2, 34);

/// A file to upload.
#[derive(Debug, Clone)]
pub struct Upload {
    pub path: PathBuf,
    pub artifact: Artifact,
}

/// The binary for nodes: the named one, else this program itself.
pub async fn node_binary(named: Option<&Path>) -> Result<Upload, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?;
    let path = named.unwrap_or(&own).to_owned();
    let content = fs::read(&path).map_err(|error| io_failure("read", &path, &error))?;
    if let Err(why) = runs_on_nodes(&content) {
        let message = format!("{} cannot run on the cluster's nodes: {why}", path.display());
        return Err(Failure::new(Exit::InvalidConfig, "cluster.node_binary", message).hint(
            "name a `cortex` built for x86-64 Linux with --node-binary; docs/real-aws.md says how to build one",
        ));
    }
    let sha256 = hex::encode(Sha256::digest(&content));
    Ok(Upload { path, artifact: Artifact { name: "cortex".to_owned(), sha256 } })
}

/// ONNX Runtime for nodes: the named file, else the pinned one.
pub async fn onnxruntime(home: &Home, named: Option<&Path>) -> Result<Upload, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => replica::library_for_nodes(&home.cache(), Path::new("python3")).await.map_err(|error| {
            Failure::new(Exit::General, "cluster.onnxruntime", error.to_string())
                .hint("or name a libonnxruntime.so for x86-64 Linux with --onnxruntime")
        })?,
    };
    let content = fs::read(&path).map_err(|error| io_failure("read", &path, &error))?;
    let sha256 = hex::encode(Sha256::digest(&content));
    Ok(Upload { path, artifact: Artifact { name: replica::LIBRARY.to_owned(), sha256 } })
}

/// Why a program cannot run there, if it cannot.
fn runs_on_nodes(content: &[u8]) -> Result<(), String> {
    if !matches!(FileKind::parse(content), Ok(FileKind::Elf64)) {
        return Err("it is not a 64-bit ELF program of Linux".to_owned());
    }
    let damaged = |error: object::read::Error| format!("it is damaged: {error}");
    let header = FileHeader64::<Endianness>::parse(content).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if header.e_machine(endian) != EM_X86_64 {
        return Err("it is not for x86-64".to_owned());
    }
    match glibc_floor(header, endian, content).map_err(damaged)? {
        Some(floor) if floor > GLIBC => {
            Err(format!("it needs glibc {}.{}, and they have {}.{}", floor.0, floor.1, GLIBC.0, GLIBC.1))
        }
        _ => Ok(()),
    }
}

/// The newest glibc that any symbol asks for; `None` if the program is linked statically, or with another library.
fn glibc_floor(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    content: &[u8],
) -> Result<Option<(u32, u32)>, object::read::Error> {
    let sections = header.sections(endian, content)?;
    let mut floor = None;
    for section in sections.iter() {
        let Some((mut needs, link)) = section.gnu_verneed(endian, content)? else { continue };
        let strings = sections.strings(endian, content, link)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                floor = floor.max(glibc_version(version.name(endian, strings)?));
            }
        }
    }
    Ok(floor)
}

/// Of `GLIBC_2.34` or `GLIBC_2.2.5`.
fn glibc_version(name: &[u8]) -> Option<(u32, u32)> {
    let mut parts = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_glibc() {
        assert_eq!(glibc_version(b"GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc_version(b"GLIBC_2.34"), Some((2, 34)));
        assert_eq!(glibc_version(b"GLIBC_PRIVATE"), None);
        assert_eq!(glibc_version(b"GCC_3.0"), None);
    }

    #[test]
    fn what_is_no_program_for_nodes_is_refused_with_the_reason() {
        let why = |content: &[u8]| runs_on_nodes(content).expect_err("refused");
        assert!(why(b"#!/bin/sh\n").contains("ELF"));
        assert!(why(b"").contains("ELF"));
        let this = fs::read(std::env::current_exe().expect("a test is a program")).expect("it can be read");
        // This test itself is one that can be loaded here; for another machine it is not.
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            let mut other = this.clone();
            other[18] = 183;
            assert!(why(&other).contains("x86-64"));
            let position = this.windows(11).position(|window| window == b"GLIBC_2.34\0").expect("it needs that");
            let mut newer = this;
            newer[position + 9] = b'9';
            assert!(why(&newer).contains("glibc 2.39"), "{}", why(&newer));
        }
    }
}
