//! YAML text as a tree of nodes that know where they stand.
//!
//! serde-saphyr parses and resolves (scalars, aliases, merge keys); this module only keeps what it says, with
//! positions, in document order. Parsing stops at the first error of syntax, since nothing after it can be trusted; a
//! duplicate key is not such an error: the first one counts and the second is reported. Size, depth and
//! the work that aliases may cause are limited, so that no text keeps a process busy. See
//! `docs/decisions/0001-yaml.md`.

use std::{fmt, ops::Range};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Options, Spanned};

use crate::problem::{Kind, Refusal};

/// A hand-written file is a hundred times smaller.
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
/// Counted with every alias written out.
const MAX_NODES: usize = 10_000;

pub(crate) type NodeId = usize;

/// Node 0 is the root.
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    parent: Option<(NodeId, Step)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// Bytes, within the text.
    pub(crate) span: Range<usize>,
}

#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    Large(u64),
    Float(f64),
    Text(String),
    List(Vec<NodeId>),
    Map(Vec<Entry>),
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_node: NodeId,
    pub(crate) value: NodeId,
}

impl Tree {
    pub(crate) const ROOT: NodeId = 0;

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The entry of a mapping; nothing if the node is not a mapping or has no such key.
    pub(crate) fn entry(&self, map: NodeId, key: &str) -> Option<&Entry> {
        match &self.node(map).value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// `node_groups[0].name`; with `[]` instead of the numbers if `general`.
    pub(crate) fn path(&self, id: NodeId, general: bool) -> String {
        let Some((parent, step)) = &self.node(id).parent else { return String::new() };
        let path = self.path(*parent, general);
        match step {
            Step::Key(key) if path.is_empty() => key.clone(),
            Step::Key(key) => format!("{path}.{key}"),
            Step::Index(_) if general => format!("{path}[]"),
            Step::Index(index) => format!("{path}[{index}]"),
        }
    }

    fn add(&mut self, value: Value, place: Place, parent: Option<(NodeId, Step)>) -> NodeId {
        self.nodes.push(Node { value, place, parent });
        self.nodes.len() - 1
    }
}

/// A tree, and what was wrong with the text without standing in the tree's way.
pub(crate) struct Parsed {
    pub(crate) tree: Tree,
    pub(crate) duplicates: Vec<(NodeId, Refusal)>,
}

/// A tree, or where and why there is none.
pub(crate) fn parse(text: &str) -> Result<Parsed, (Place, Refusal)> {
    if text.len() > MAX_BYTES {
        let refusal = Refusal::new(Kind::TooLarge, format!("the file is larger than {} KiB", MAX_BYTES / 1024));
        return Err((start(), refusal));
    }
    let root: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options()).map_err(|e| syntax(text, &e))?;
    if matches!(root.value, Raw::Null) {
        return Err((start(), Refusal::new(Kind::EmptyDocument, "the file is empty")));
    }
    let mut builder = Builder { text, parsed: Parsed { tree: Tree { nodes: Vec::new() }, duplicates: Vec::new() } };
    builder.grow(root, None);
    Ok(builder.parsed)
}

fn start() -> Place {
    Place { line: 1, column: 1, span: 0..0 }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        emit_comments: false,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Where the parser gave up, and why, in words for somebody who does not know parsers.
fn syntax(text: &str, error: &Error) -> (Place, Refusal) {
    let place = error.location().map_or_else(start, |location| place(text, location));
    let cause = match error {
        Error::AliasError { error, .. } => error,
        error => error,
    };
    let said = cause.to_string();
    let message = said.split(" at line ").next().unwrap_or(&said);
    if message.starts_with("tab") || message.contains(" tab") {
        let refusal = Refusal::new(Kind::Syntax, "a tab is used for indentation");
        return (tab(text, place), refusal.help("YAML is indented with spaces only"));
    }
    (place, in_plain_words(cause, message))
}

fn in_plain_words(cause: &Error, message: &str) -> Refusal {
    match cause {
        Error::MultipleDocuments { .. } => Refusal::new(Kind::MultipleDocuments, "a second document begins here")
            .help("one file holds one document: remove the `---` before it, or make two files"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            Refusal::new(Kind::TooLarge, "the file is too large, too deeply nested, or has too many aliases")
                .help(format!("at most {MAX_DEPTH} levels and {MAX_NODES} values are possible, aliases written out"))
        }
        Error::UnknownAnchor { .. } => Refusal::new(Kind::Syntax, "this alias refers to an anchor that does not exist")
            .help("put text that begins with `*` in quotes"),
        _ if message.contains("recursion limit") => Refusal::new(Kind::TooLarge, "the file is too deeply nested")
            .help(format!("at most {MAX_DEPTH} levels are possible")),
        _ if message.starts_with("mapping values are not allowed") => {
            Refusal::new(Kind::Syntax, "a `:` is not allowed here")
                .help("check the indentation, and put text that contains `: ` in quotes")
        }
        _ => Refusal::new(Kind::Syntax, format!("not valid YAML: {message}")),
    }
}

/// The parser points to the beginning of what a tab cuts in two; the tab itself is what has to go.
fn tab(text: &str, found: Place) -> Place {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = text.lines().enumerate().skip(found.line - 1);
    let mut tabs = lines.filter_map(|(index, line)| Some((index, line[..indentation(line)].find('\t')?)));
    tabs.next().map_or(found, |(index, column)| {
        let at = offset(text, index + 1, column + 1);
        Place { line: index + 1, column: column + 1, span: at..at + 1 }
    })
}

/// The parser gives bytes for nodes but not for every error; lines and characters it gives always.
fn place(text: &str, location: Location) -> Place {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let bytes = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    let from = bytes(location.span().byte_offset()).unwrap_or_else(|| offset(text, line, column)).min(text.len());
    let to = from.saturating_add(bytes(location.span().byte_len()).unwrap_or(0)).min(text.len());
    let shown = text.get(from..to).map_or(0, |slice| slice.lines().next().unwrap_or("").trim_end().len());
    let least =
        text.get(from..).and_then(|rest| rest.chars().next()).map_or(0, |c| if c == '\n' { 0 } else { c.len_utf8() });
    Place { line, column, span: from..from + shown.max(least) }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text[before..].lines().next().unwrap_or("");
    before + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

struct Builder<'a> {
    text: &'a str,
    parsed: Parsed,
}

impl Builder<'_> {
    /// Recursion is as deep as the text is nested, which the parser has limited.
    fn grow(&mut self, raw: Spanned<Raw>, parent: Option<(NodeId, Step)>) -> NodeId {
        let place = place(self.text, raw.referenced);
        let id = self.parsed.tree.add(Value::Null, place, parent);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Int(value) => Value::Int(value),
            Raw::Large(value) => Value::Large(value),
            Raw::Float(value) => Value::Float(value),
            Raw::Text(value) => Value::Text(value),
            Raw::List(items) => {
                let grown = items.into_iter().enumerate();
                Value::List(grown.map(|(index, item)| self.grow(item, Some((id, Step::Index(index))))).collect())
            }
            Raw::Map(entries) => Value::Map(self.entries(id, entries)),
        };
        self.parsed.tree.nodes[id].value = value;
        id
    }

    fn entries(&mut self, map: NodeId, raw: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        for (key, value) in raw {
            let step = Step::Key(key.value.clone());
            let key_place = place(self.text, key.referenced);
            let line = key_place.line;
            let key_node = self.parsed.tree.add(Value::Null, key_place, Some((map, step.clone())));
            let value = self.grow(value, Some((map, step)));
            if let Some(first) = seen.get(&key.value) {
                let message = format!("this key is already set in line {first}");
                let refusal = Refusal::new(Kind::DuplicateKey, message).help("keep one of the two");
                self.parsed.duplicates.push((key_node, refusal));
                continue;
            }
            seen.insert(key.value.clone(), line);
            entries.push(Entry { key: key.value, key_node, value });
        }
        entries
    }
}

/// What serde-saphyr hands over: any YAML, nothing dropped.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Large(u64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Large(value), Raw::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
