//! Tensors as bytes: little-endian, row-major, nothing in between. A boolean is a byte that is 0 or 1; a string is its
//! length in four bytes and then itself.
//!
//! Nothing is allocated for what is not there: the elements that a shape promises are counted against the bytes first.

use half::f16;
use ort::value::DynValue;

use super::super::{
    decode::Data,
    rows::Rows,
    signature::{Element, Input},
};

/// An element whose size does not depend on its value.
trait Fixed: Copy {
    const SIZE: usize;
    fn get(bytes: &[u8]) -> Self;
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! fixed {
    ($($type:ty),*) => {$(
        impl Fixed for $type {
            const SIZE: usize = size_of::<$type>();

            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                own.copy_from_slice(bytes);
                Self::from_le_bytes(own)
            }

            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

fixed!(f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

impl Fixed for bool {
    const SIZE: usize = 1;

    fn get(bytes: &[u8]) -> Self {
        bytes != [0]
    }

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(self.into());
    }
}

/// `count` elements of what `input` takes; or what is wrong, for the caller.
pub(super) fn decode(input: &Input, count: usize, bytes: &[u8]) -> Result<Data, String> {
    match input.element {
        Element::Bool => {
            if let Some(index) = bytes.iter().position(|byte| *byte > 1) {
                let byte = bytes[index];
                return Err(format!("byte {index} of input `{}` is {byte}, but a BOOL is 0 or 1", input.name));
            }
            elements(input, count, bytes).map(Data::Bool)
        }
        Element::F16 => elements(input, count, bytes).map(Data::F16),
        Element::F32 => elements(input, count, bytes).map(Data::F32),
        Element::F64 => elements(input, count, bytes).map(Data::F64),
        Element::I8 => elements(input, count, bytes).map(Data::I8),
        Element::I16 => elements(input, count, bytes).map(Data::I16),
        Element::I32 => elements(input, count, bytes).map(Data::I32),
        Element::I64 => elements(input, count, bytes).map(Data::I64),
        Element::U8 => elements(input, count, bytes).map(Data::U8),
        Element::U16 => elements(input, count, bytes).map(Data::U16),
        Element::U32 => elements(input, count, bytes).map(Data::U32),
        Element::U64 => elements(input, count, bytes).map(Data::U64),
        Element::Text => strings(input, count, bytes).map(Data::Text),
    }
}

fn elements<T: Fixed>(input: &Input, count: usize, bytes: &[u8]) -> Result<Vec<T>, String> {
    if count.checked_mul(T::SIZE) != Some(bytes.len()) {
        return Err(format!(
            "input `{}` has {} bytes, but its shape has {count} elements of {} bytes",
            input.name,
            bytes.len(),
            T::SIZE
        ));
    }
    Ok(bytes.chunks_exact(T::SIZE).map(T::get).collect())
}

fn strings(input: &Input, count: usize, mut bytes: &[u8]) -> Result<Vec<String>, String> {
    let name = &input.name;
    let mut strings = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>().filter(|_| strings.len() < count) {
        let index = strings.len();
        let length = u32::from_le_bytes(*length) as usize;
        let Some((text, rest)) = rest.split_at_checked(length) else {
            return Err(format!("string {index} of input `{name}` has {length} bytes, but {} are left", rest.len()));
        };
        let text = str::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        let Some(text) = text else {
            return Err(format!("string {index} of input `{name}` is not UTF-8 text without NUL characters"));
        };
        strings.push(text.to_owned());
        bytes = rest;
    }
    if !bytes.is_empty() && strings.len() < count {
        return Err(format!("input `{name}` ends with {} bytes that are no string", bytes.len()));
    }
    if !bytes.is_empty() {
        return Err(format!("input `{name}` goes on for {} bytes after its {count} elements", bytes.len()));
    }
    if strings.len() != count {
        return Err(format!("input `{name}` has {} strings, but its shape has {count} elements", strings.len()));
    }
    Ok(strings)
}

/// The caller's elements of `value`, appended to `bytes`.
pub(super) fn encode(bytes: &mut Vec<u8>, element: Element, value: &DynValue, rows: &Rows) -> ort::Result<()> {
    match element {
        Element::Bool => put(bytes, rows.cut(value.try_extract_tensor::<bool>()?).1),
        Element::F16 => put(bytes, rows.cut(value.try_extract_tensor::<f16>()?).1),
        Element::F32 => put(bytes, rows.cut(value.try_extract_tensor::<f32>()?).1),
        Element::F64 => put(bytes, rows.cut(value.try_extract_tensor::<f64>()?).1),
        Element::I8 => put(bytes, rows.cut(value.try_extract_tensor::<i8>()?).1),
        Element::I16 => put(bytes, rows.cut(value.try_extract_tensor::<i16>()?).1),
        Element::I32 => put(bytes, rows.cut(value.try_extract_tensor::<i32>()?).1),
        Element::I64 => put(bytes, rows.cut(value.try_extract_tensor::<i64>()?).1),
        Element::U8 => put(bytes, rows.cut(value.try_extract_tensor::<u8>()?).1),
        Element::U16 => put(bytes, rows.cut(value.try_extract_tensor::<u16>()?).1),
        Element::U32 => put(bytes, rows.cut(value.try_extract_tensor::<u32>()?).1),
        Element::U64 => put(bytes, rows.cut(value.try_extract_tensor::<u64>()?).1),
        Element::Text => {
            let (shape, all) = value.try_extract_strings()?;
            put_strings(bytes, rows.cut((shape, &all)).1);
        }
    }
    Ok(())
}

fn put<T: Fixed>(bytes: &mut Vec<u8>, elements: &[T]) {
    bytes.reserve(elements.len() * T::SIZE);
    for element in elements {
        element.put(bytes);
    }
}

fn put_strings(bytes: &mut Vec<u8>, strings: &[String]) {
    for text in strings {
        // ONNX Runtime's own strings are far below 4 GiB: the whole request is.
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(element: Element) -> Input {
        Input { name: "x".to_owned(), element, dims: Vec::new() }
    }

    fn any_element() -> impl Strategy<Value = Element> {
        use Element::{Bool, F16, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
        prop::sample::select(vec![Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Text])
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers: Vec<i32>, floats: Vec<u64>, bits: Vec<bool>) {
            let mut bytes = Vec::new();
            put(&mut bytes, &numbers);
            prop_assert_eq!(decode(&input(Element::I32), numbers.len(), &bytes).unwrap(), Data::I32(numbers));
            bytes.clear();
            // As bits, since a NaN equals nothing.
            put(&mut bytes, &floats.iter().copied().map(f64::from_bits).collect::<Vec<_>>());
            let Data::F64(back) = decode(&input(Element::F64), floats.len(), &bytes).unwrap() else { panic!("floats") };
            prop_assert_eq!(back.into_iter().map(f64::to_bits).collect::<Vec<_>>(), floats);
            bytes.clear();
            put(&mut bytes, &bits);
            prop_assert_eq!(decode(&input(Element::Bool), bits.len(), &bytes).unwrap(), Data::Bool(bits));
        }

        #[test]
        fn strings_come_back(strings: Vec<String>) {
            let strings: Vec<String> = strings.into_iter().map(|text| text.replace('\0', "")).collect();
            let mut bytes = Vec::new();
            put_strings(&mut bytes, &strings);
            prop_assert_eq!(decode(&input(Element::Text), strings.len(), &bytes).unwrap(), Data::Text(strings));
        }

        /// Whatever is sent and whatever the shape says, there are `count` elements or a refusal.
        #[test]
        fn counts_are_kept(element in any_element(), count: usize, small in 0_usize..9, bytes: Vec<u8>) {
            for count in [count, small] {
                if let Ok(data) = decode(&input(element), count, &bytes) {
                    prop_assert_eq!(data.len(), count);
                }
            }
        }
    }

    #[test]
    fn says_what_does_not_fit() {
        let refused = |element, count, bytes: &[u8]| decode(&input(element), count, bytes).unwrap_err();
        assert_eq!(refused(Element::F32, 2, &[0; 7]), "input `x` has 7 bytes, but its shape has 2 elements of 4 bytes");
        assert_eq!(refused(Element::Bool, 2, &[1, 2]), "byte 1 of input `x` is 2, but a BOOL is 0 or 1");
        assert_eq!(
            refused(Element::Text, 1, b"\xff\xff\xff\xffab"),
            "string 0 of input `x` has 4294967295 bytes, but 2 are left"
        );
        assert_eq!(refused(Element::Text, 2, b"\x01\0\0\0a"), "input `x` has 1 strings, but its shape has 2 elements");
        assert_eq!(refused(Element::Text, 2, b"\x01\0\0\0a\0"), "input `x` ends with 1 bytes that are no string");
        let more = "input `x` goes on for 1 bytes after its 1 elements";
        assert_eq!(refused(Element::Text, 1, b"\x01\0\0\0a\0"), more);
        let no_text = "string 0 of input `x` is not UTF-8 text without NUL characters";
        assert_eq!(refused(Element::Text, 1, b"\x01\0\0\0\xff"), no_text);
        assert_eq!(refused(Element::Text, 1, b"\x01\0\0\0\0"), no_text);
    }
}
