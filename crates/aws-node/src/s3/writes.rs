//! Which writes made an object what it is, in its metadata.
//!
//! `write-id` is the id of the last write. `writes` are tags of the last calls of `put` that wrote, newest first: each
//! call draws one, and all tries of it carry the same. So a call that was told "the condition does not hold" can tell
//! three cases apart:
//!
//! - the last write is its own: the first try worked and its reply was lost, or an earlier call of the same id worked;
//! - its tag is among the earlier ones: its first try worked, and somebody wrote on top of it before the second;
//! - neither: somebody else was faster.
//!
//! Without the second, who adds one to a counter under contention would sometimes add two.

use std::collections::HashMap;

const WRITE_ID: &str = "write-id";
const WRITES: &str = "writes";

/// As many writes may come between a try and its repetition. S3 keeps 2 KB of metadata; this is half of it.
const KEPT: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Writes {
    id: String,
    tags: Vec<String>,
}

/// Names one call of `put`, with all its tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    pub(super) fn new() -> Self {
        Self(hex::encode(rand::random::<[u8; 8]>()))
    }
}

impl Writes {
    /// Of an object. What another program has written has none.
    pub(super) fn of(metadata: Option<&HashMap<String, String>>) -> Self {
        let field = |name| metadata.and_then(|metadata| metadata.get(name)).map_or("", String::as_str);
        let tags = field(WRITES).split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        Self { id: field(WRITE_ID).to_owned(), tags }
    }

    /// After one more.
    pub(super) fn then(&self, id: &str, tag: &Tag) -> Self {
        let tags = std::iter::once(&tag.0).chain(&self.tags).take(KEPT).cloned().collect();
        Self { id: id.to_owned(), tags }
    }

    pub(super) fn metadata(&self) -> HashMap<String, String> {
        HashMap::from([(WRITE_ID.to_owned(), self.id.clone()), (WRITES.to_owned(), self.tags.join(" "))])
    }

    pub(super) fn last_is(&self, id: &str) -> bool {
        self.id == id
    }

    pub(super) fn contain(&self, tag: &Tag) -> bool {
        self.tags.contains(&tag.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_writes_are_kept() {
        let tags: Vec<_> = (0..KEPT + 5).map(|_| Tag::new()).collect();
        let mut writes = Writes::default();
        for (number, tag) in tags.iter().enumerate() {
            writes = writes.then(&number.to_string(), tag);
            let metadata = writes.metadata();
            let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(size < 1536, "S3 takes 2 KB of metadata, and others may add some");
            assert_eq!(Writes::of(Some(&metadata)), writes, "it reads back");
        }
        assert!(writes.last_is(&(KEPT + 4).to_string()));
        assert!(!writes.last_is("0"));
        assert!(tags[5..].iter().all(|tag| writes.contain(tag)));
        assert!(tags[..5].iter().all(|tag| !writes.contain(tag)));
    }

    #[test]
    fn what_another_program_wrote_is_nobodys() {
        let writes = Writes::of(Some(&HashMap::from([("other".to_owned(), "x".to_owned())])));
        assert_eq!(writes, Writes::default());
        assert!(!writes.contain(&Tag::new()));
    }
}
