//! Several requests as one: their tensors one after the other along the first dimension.

use super::decode::{Array, Data};

/// How many rows a request has: the same in all its inputs, and not none, since nothing follows from nothing.
pub(super) fn rows(request: &[Array]) -> Option<usize> {
    let mut all = request.iter().map(|array| array.shape.first().copied());
    let first = all.next()??;
    (first > 0 && all.all(|other| other == Some(first))).then_some(first)
}

/// Whether both can be stacked: rows, and inputs that agree in type and in all sizes but the first.
pub(super) fn alike(one: &[Array], other: &[Array]) -> bool {
    let same = |(one, other): (&Array, &Array)| {
        one.shape.get(1..) == other.shape.get(1..)
            && std::mem::discriminant(&one.data) == std::mem::discriminant(&other.data)
    };
    let rows = rows(one).is_some() && rows(other).is_some();
    rows && one.len() == other.len() && one.iter().zip(other).all(same)
}

/// One array per input, of requests that are alike. They stay, in case that they have to be run one by one.
pub(super) fn stack(requests: &[Vec<Array>]) -> Vec<Array> {
    let Some((first, others)) = requests.split_first() else { return Vec::new() };
    let mut arrays = first.clone();
    for (input, all) in arrays.iter_mut().enumerate() {
        all.data.reserve(others.iter().map(|request| request[input].data.len()).sum());
        for one in others.iter().map(|request| &request[input]) {
            all.shape[0] += one.shape[0];
            all.data.append(&one.data);
        }
    }
    arrays
}

macro_rules! each_type {
    ($macro:ident) => {
        $macro!(Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Text)
    };
}

impl Data {
    fn reserve(&mut self, more: usize) {
        macro_rules! reserve {
            ($($type:ident),*) => {
                match self { $(Self::$type(data) => data.reserve_exact(more),)* }
            };
        }
        each_type!(reserve);
    }

    /// Does nothing if the types differ.
    fn append(&mut self, more: &Self) {
        macro_rules! append {
            ($($type:ident),*) => {
                match (self, more) {
                    $((Self::$type(data), Self::$type(more)) => data.extend_from_slice(more),)*
                    _ => {}
                }
            };
        }
        each_type!(append);
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bool(data) => data.len(),
            Self::I8(data) => data.len(),
            Self::U8(data) => data.len(),
            Self::F16(_) | Self::I16(_) | Self::U16(_) => 2 * self.len(),
            Self::F32(_) | Self::I32(_) | Self::U32(_) => 4 * self.len(),
            Self::F64(_) | Self::I64(_) | Self::U64(_) => 8 * self.len(),
            Self::Text(data) => data.iter().map(|text| size_of::<String>() + text.len()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(shape: &[usize], from: f32) -> Array {
        let count = shape.iter().product::<usize>();
        Array { shape: shape.to_vec(), data: Data::F32((0..count).map(|index| from + index as f32).collect()) }
    }

    fn words(words: &[&str]) -> Array {
        Array { shape: vec![words.len()], data: Data::Text(words.iter().map(|word| (*word).to_owned()).collect()) }
    }

    #[test]
    fn rows_of_all_inputs_follow_each_other() {
        let requests = [vec![floats(&[1, 2], 0.0), words(&["a"])], vec![floats(&[2, 2], 2.0), words(&["b", "c"])]];
        assert!(alike(&requests[0], &requests[1]));
        assert_eq!(stack(&requests), [floats(&[3, 2], 0.0), words(&["a", "b", "c"])]);
        assert_eq!(requests[1][0].data.bytes(), 16);
    }

    #[test]
    fn what_does_not_fit_is_not_alike() {
        for (one, other) in [
            (vec![floats(&[1, 2], 0.0)], vec![floats(&[1, 3], 0.0)]),
            (vec![floats(&[1], 0.0)], vec![words(&["a"])]),
            (vec![floats(&[], 0.0)], vec![floats(&[], 0.0)]),
            (vec![floats(&[0, 2], 0.0)], vec![floats(&[1, 2], 0.0)]),
            (vec![floats(&[2], 0.0), words(&["a"])], vec![floats(&[2], 0.0), words(&["a"])]),
            (vec![floats(&[1], 0.0)], vec![floats(&[1], 0.0), words(&["a"])]),
        ] {
            assert!(!alike(&one, &other) && !alike(&other, &one), "{one:?} {other:?}");
        }
    }
}
