//! The JSON of a request for a prediction, as it is written: read in one pass, nothing of it kept but what is asked for.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::super::super::{
    decode::{Array, lists},
    shown::Shown,
    signature::{Input, Shape, Signature},
};

/// Of a tensor; NumPy takes as many.
const MOST_DIMENSIONS: usize = 64;
/// That are asked for: more than any model has.
const MOST_OUTPUTS: usize = 4096;

pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) parameters: Parameters,
    pub(super) inputs: Vec<Given>,
    pub(super) outputs: Option<Vec<Output>>,
}

/// One of `inputs`, as far as it was written.
pub(super) struct Given {
    pub(super) index: usize,
    pub(super) datatype: Option<String>,
    pub(super) shape: Option<Vec<i64>>,
    pub(super) parameters: Parameters,
    pub(super) data: Option<Array>,
    /// It has data, which came before its name.
    pub(super) passed_over: bool,
}

#[derive(Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

/// Those that mean something here; there may be others.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parameters {
    pub(super) binary_data_size: Option<u64>,
    pub(super) binary_data: Option<bool>,
    pub(super) binary_data_output: Option<bool>,
    pub(super) classification: Option<IgnoredAny>,
    pub(super) shared_memory_region: Option<IgnoredAny>,
    pub(super) sequence_id: Option<IgnoredAny>,
}

impl Parameters {
    pub(super) fn refuse_shared_memory(&self, tensor: &str) -> Result<(), String> {
        match self.shared_memory_region {
            Some(_) => Err(format!("`{tensor}` is to be in shared memory, which is not served: send it in the body")),
            None => Ok(()),
        }
    }
}

/// `a` (FP32 [batch, 2]), `b` (BYTES)
pub(super) fn wanted(signature: &Signature) -> String {
    let one = |input: &Input| match input.dims.as_slice() {
        [] => format!("`{}` ({})", input.name, input.element.datatype()),
        dims => format!("`{}` ({} {})", input.name, input.element.datatype(), Shape(dims)),
    };
    signature.inputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Where a reader is: the model, and which of its inputs the items of `inputs` are, as far as that is known.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) names: &'a [usize],
    pub(super) signature: &'a Signature,
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object whose `inputs` are {}", wanted(self.signature))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let mut message = Message { id: None, parameters: Parameters::default(), inputs: Vec::new(), outputs: None };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "id" => message.id = map.next_value()?,
                "parameters" => message.parameters = map.next_value()?,
                "inputs" => message.inputs = map.next_value_seed(Inputs(self))?,
                "outputs" => message.outputs = map.next_value::<Option<Few<Output, MOST_OUTPUTS>>>()?.map(|few| few.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if message.parameters.sequence_id.is_some() {
            return Err(A::Error::custom(
                "the request is part of a sequence, which is not served: the model keeps no state",
            ));
        }
        Ok(message)
    }
}

/// A list that is refused while it is read if it is too long.
struct Few<T, const MOST: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Counting<T, const MOST: usize>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Counting<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while let Some(item) = list.next_element()? {
                    if few.len() == MOST {
                        return Err(A::Error::invalid_length(MOST + 1, &self));
                    }
                    few.push(item);
                }
                Ok(Few(few))
            }
        }

        json.deserialize_seq(Counting(std::marker::PhantomData))
    }
}

struct Inputs<'a>(Reading<'a>);

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = Vec<Given>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Given>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = Vec<Given>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of inputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Given>, A::Error> {
        let mut inputs = Vec::new();
        let reading = self.0;
        while let Some(input) =
            list.next_element_seed(One { reading, known: reading.names.get(inputs.len()).copied() })?
        {
            inputs.push(input);
            // Each may be there once, so that more are a mistake whatever they are.
            if inputs.len() > reading.signature.inputs.len() {
                let takes = wanted(reading.signature);
                return Err(A::Error::custom(format!("there are more inputs than the model takes, which are {takes}")));
            }
        }
        Ok(inputs)
    }
}

struct One<'a> {
    reading: Reading<'a>,
    known: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Given, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an input: an object with `name`, `datatype`, `shape` and `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let signature = self.reading.signature;
        let mut index = self.known;
        let (mut datatype, mut shape, mut data) = (None, None, None);
        let mut parameters = Parameters::default();
        let (mut named, mut passed_over) = (false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match (&*key, index) {
                ("name", _) => {
                    let name: Cow<'de, str> = map.next_value()?;
                    let Some(found) = signature.inputs.iter().position(|input| input.name == name) else {
                        let (name, takes) = (Shown(&name), wanted(signature));
                        return Err(A::Error::custom(format!("the model has no input `{name}`; it takes {takes}")));
                    };
                    // What was read before is of the other name's type.
                    if std::mem::replace(&mut named, true) {
                        return Err(A::Error::custom("an input has two `name`s"));
                    }
                    index = Some(found);
                }
                ("datatype", _) => datatype = map.next_value()?,
                ("shape", _) => shape = map.next_value::<Option<Few<i64, MOST_DIMENSIONS>>>()?.map(|few| few.0),
                ("parameters", _) => parameters = map.next_value()?,
                ("data", Some(index)) => data = Some(map.next_value_seed(Elements(&signature.inputs[index]))?),
                ("data", None) => {
                    map.next_value::<IgnoredAny>()?;
                    passed_over = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let index = index.ok_or_else(|| A::Error::custom("an input has no `name`"))?;
        Ok(Given { index, datatype, shape, parameters, data, passed_over })
    }
}

struct Elements<'a>(&'a Input);

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Array;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Array, D::Error> {
        lists(self.0, json)
    }
}
