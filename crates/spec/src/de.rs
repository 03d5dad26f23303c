//! A [`serde::Deserializer`] over a [`Tree`] that says *at which node* it could not go on, and can be told to pass over
//! nodes: reading again without the node that was refused finds the next problem, until everything has been said.
//! Documents are small, so reading them once per problem costs nothing.
//!
//! [`At`] keeps the node with the value, for the checks that follow.

use std::{borrow::Cow, collections::HashSet, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
    },
    forward_to_deserialize_any,
};

use crate::yaml::{Entry, NodeId, Tree, Value};

/// The name by which [`At`] asks the deserializer for its node.
const AT: &str = "$spec::At";

/// A value and the node it was read from.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) node: NodeId,
}

/// Why a node could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The innermost node that refused; a mapping's key for a field nobody knows.
    pub(crate) node: NodeId,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    UnknownField { name: String, known: &'static [&'static str] },
    UnknownVariant { name: String, known: &'static [&'static str] },
    WrongType { found: &'static str, expected: String },
    Other(String),
}

/// Reads the whole tree, as if the nodes in `skipped` were not in it.
pub(crate) fn read<T: DeserializeOwned>(tree: &Tree, skipped: &HashSet<NodeId>) -> Result<T, Fault> {
    T::deserialize(NodeReader { tree, skipped, node: Tree::ROOT })
        .map_err(|SerdeError { node, what }| Fault { node: node.unwrap_or(Tree::ROOT), what })
}

#[derive(Clone, Copy)]
struct NodeReader<'t> {
    tree: &'t Tree,
    skipped: &'t HashSet<NodeId>,
    node: NodeId,
}

impl<'t> NodeReader<'t> {
    fn at(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    fn value(self) -> &'t Value {
        &self.tree.node(self.node).value
    }

    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value() {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Large(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            Value::List(items) => visitor.visit_seq(Items { reader: self, rest: items.iter() }),
            Value::Map(entries) => visitor.visit_map(Entries { reader: self, rest: entries.iter(), value: None }),
        }
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = SerdeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.visit(visitor).map_err(|e| e.at(self.node))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value() {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, v: V) -> Result<V::Value, SerdeError> {
        match name {
            AT => v.visit_seq(NodeAndValue { reader: self, sent: 0 }),
            _ => v.visit_newtype_struct(self),
        }
    }

    /// Derived code would take a list for a struct, field by field; a user who writes one means something else.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match self.value() {
            Value::List(_) => {
                Err(de::Error::invalid_type(Unexpected::Seq, &visitor)).map_err(|e: SerdeError| e.at(self.node))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let result = match self.value() {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            other => Err(SerdeError::wrong_type(found(other), format!("one of {}", variants.join(", ")))),
        };
        result.map_err(|e| e.at(self.node))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'t> {
    reader: NodeReader<'t>,
    rest: std::slice::Iter<'t, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = SerdeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        let reader = self.reader;
        let next = self.rest.by_ref().find(|node| !reader.skipped.contains(node));
        next.map(|&node| seed.deserialize(reader.at(node))).transpose()
    }
}

struct Entries<'t> {
    reader: NodeReader<'t>,
    rest: std::slice::Iter<'t, Entry>,
    value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = SerdeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        let skipped = self.reader.skipped;
        let next = self.rest.by_ref().find(|e| !skipped.contains(&e.key_node) && !skipped.contains(&e.value));
        let Some(entry) = next else { return Ok(None) };
        self.value = Some(entry.value);
        seed.deserialize(entry.key.as_str().into_deserializer()).map(Some).map_err(|e: SerdeError| e.at(entry.key_node))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, SerdeError> {
        let node = self.value.take().expect("serde asks for a value only after its key");
        seed.deserialize(self.reader.at(node))
    }
}

/// What [`At`] is read from: a sequence of the node's number and the node itself.
struct NodeAndValue<'t> {
    reader: NodeReader<'t>,
    sent: u8,
}

impl<'de> SeqAccess<'de> for NodeAndValue<'_> {
    type Error = SerdeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        self.sent += 1;
        match self.sent {
            1 => seed.deserialize(self.reader.node.into_deserializer()).map(Some),
            2 => seed.deserialize(self.reader).map(Some),
            _ => Ok(None),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a document read by this crate")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
        let node = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let value = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        Ok(At { value, node })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// What serde's hooks report, before the node is known.
#[derive(Debug)]
pub(crate) struct SerdeError {
    node: Option<NodeId>,
    what: What,
}

impl SerdeError {
    fn new(what: What) -> Self {
        Self { node: None, what }
    }

    fn wrong_type(found: &'static str, expected: String) -> Self {
        Self::new(What::WrongType { found, expected })
    }

    /// The innermost node is the first to see an error, and the one that counts.
    fn at(mut self, node: NodeId) -> Self {
        self.node.get_or_insert(node);
        self
    }
}

impl fmt::Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for SerdeError {}

impl de::Error for SerdeError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::new(What::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Unit => "nothing",
            Unexpected::Bool(true) => "`true`",
            Unexpected::Bool(false) => "`false`",
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a whole number",
            Unexpected::Float(_) => "a number with a fraction",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "text",
        };
        Self::wrong_type(found, in_yaml_terms(&expected.to_string()))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => {
                Self::wrong_type("a number that is too large", in_yaml_terms(&expected.to_string()))
            }
            _ => Self::invalid_type(unexpected, expected),
        }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownField { name: name.to_owned(), known })
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownVariant { name: name.to_owned(), known })
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) | Value::Large(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

/// serde speaks of Rust's types; users know YAML's.
fn in_yaml_terms(expected: &str) -> String {
    match expected {
        "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping (`key: value` lines)",
        other if other.starts_with("struct ") => "a mapping (`key: value` lines)",
        other => other,
    }
    .to_owned()
}
