//! Which rows of the values of a run are one caller's.

use std::ops::Range;

use ort::value::{DynMapValueType, DynValue, Shape};

use super::{
    encode,
    signature::{Form, Output},
};

/// Along the first dimension of tensors, or items of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows(Option<Range<usize>>);

impl Rows {
    /// A run for one caller, whatever the shape.
    pub(super) const ALL: Self = Self(None);

    /// One after the other, so many each.
    pub(super) fn following(counts: &[usize]) -> Vec<Self> {
        let mut from = 0;
        let next = |count: &usize| {
            let rows = from..from + count;
            from = rows.end;
            Self(Some(rows))
        };
        counts.iter().map(next).collect()
    }

    pub(super) fn shape(&self, shape: &[i64]) -> Vec<usize> {
        let mut sizes = encode::sizes(shape);
        if let (Some(rows), Some(first)) = (&self.0, sizes.first_mut()) {
            *first = rows.len();
        }
        sizes
    }

    /// Of row-major `data` of that shape.
    pub(super) fn cut<'a, T>(&self, (shape, data): (&Shape, &'a [T])) -> (Vec<usize>, &'a [T]) {
        let sizes = self.shape(shape);
        let Some(rows) = &self.0 else { return (sizes, data) };
        let one: usize = sizes.iter().skip(1).product();
        // A value with fewer rows has been refused by `height`.
        let own = data.get(rows.start * one..rows.end * one).unwrap_or_default();
        (sizes, own)
    }

    pub(super) fn items<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        self.0.as_ref().map_or(items, |rows| items.get(rows.clone()).unwrap_or_default())
    }
}

/// How many rows a value has, if it can be cut.
pub(super) fn height(output: &Output, value: &DynValue) -> Option<usize> {
    match output.form {
        Form::Tensor(..) => encode::sizes(value.shape()).first().copied(),
        Form::Scores { .. } => value.try_extract_sequence::<DynMapValueType>().ok().map(|maps| maps.len()),
    }
}

/// How many elements there are to write. Maps are dear, and count as many.
pub(super) fn elements(outputs: &[Output], values: &[DynValue], rows: &Rows) -> usize {
    let count = |(output, value): (&Output, &DynValue)| match output.form {
        Form::Tensor(..) => rows.shape(value.shape()).iter().product(),
        Form::Scores { .. } => 64 * value.try_extract_sequence::<DynMapValueType>().map_or(0, |maps| maps.len()),
    };
    outputs.iter().zip(values).map(count).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own() {
        let data: Vec<u8> = (0..12).collect();
        let shape = Shape::new([4, 3]);
        let parts: Vec<_> = Rows::following(&[1, 0, 3]).iter().map(|rows| rows.cut((&shape, &data))).collect();
        assert_eq!(parts, [(vec![1, 3], &data[..3]), (vec![0, 3], &[][..]), (vec![3, 3], &data[3..])]);
        assert_eq!(Rows::ALL.cut((&shape, &data)), (vec![4, 3], &data[..]));
        assert_eq!(Rows::following(&[2, 1])[1].items(&["a", "b", "c"]), ["c"]);
        assert_eq!(Rows::ALL.cut((&Shape::new([]), &data[..1])), (vec![], &data[..1]));
    }
}
