//! Several requests as one: their tensors one after the other along the first dimension, and the answers cut apart again.

use super::decode::{Array, Data};

/// What several requests have become.
#[derive(Debug, PartialEq)]
pub(super) struct Stacked {
    /// One array per input of the model.
    pub(super) arrays: Vec<Array>,
    /// How many rows each request has.
    pub(super) rows: Vec<usize>,
}

/// Gives the requests back, untouched, if they do not fit together: each has to have the same number of rows in all its
/// inputs, and inputs of the same name have to have the same sizes but for the first, and the same type.
pub(super) fn stack(requests: Vec<Vec<Array>>) -> Result<Stacked, Vec<Vec<Array>>> {
    let fit = |request: &Vec<Array>| Some((rows(request)?, requests.first()?));
    let rows: Option<Vec<usize>> = requests
        .iter()
        .map(|request| fit(request).filter(|(_, first)| alike(first, request)).map(|(rows, _)| rows))
        .collect();
    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else { return Err(requests) };
    let mut requests = requests.into_iter();
    let mut arrays = requests.next().unwrap_or_default();
    for request in requests {
        for (all, one) in arrays.iter_mut().zip(request) {
            all.shape[0] += one.shape[0];
            append(&mut all.data, one.data);
        }
    }
    Ok(Stacked { arrays, rows })
}

/// One output, cut into as many rows as each request had; `None` if the output does not have a row for each.
pub(super) fn split(output: Array, rows: &[usize]) -> Option<Vec<Array>> {
    let (all, inner) = output.shape.split_first()?;
    if *all != rows.iter().sum::<usize>() {
        return None;
    }
    let size: usize = inner.iter().product();
    let mut rest = output.data;
    let part = |count: &usize| {
        let own = take(&mut rest, count * size);
        Array { shape: [&[*count], inner].concat(), data: own }
    };
    Some(rows.iter().map(part).collect())
}

fn rows(request: &[Array]) -> Option<usize> {
    let mut all = request.iter().map(|array| array.shape.first().copied());
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

fn alike(first: &[Array], other: &[Array]) -> bool {
    let same = |(one, other): (&Array, &Array)| {
        one.shape.get(1..) == other.shape.get(1..)
            && std::mem::discriminant(&one.data) == std::mem::discriminant(&other.data)
    };
    first.len() == other.len() && first.iter().zip(other).all(same)
}

macro_rules! each_type {
    ($macro:ident) => {
        $macro!(Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Text)
    };
}

fn append(all: &mut Data, one: Data) {
    macro_rules! append {
        ($($type:ident),*) => {
            match (all, one) {
                $((Data::$type(all), Data::$type(one)) => all.extend(one),)*
                // They are alike.
                _ => {}
            }
        };
    }
    each_type!(append);
}

/// The first `count` elements; `rest` keeps the others.
fn take(rest: &mut Data, count: usize) -> Data {
    macro_rules! take {
        ($($type:ident),*) => {
            match rest {
                $(Data::$type(rest) => {
                    let others = rest.split_off(count.min(rest.len()));
                    Data::$type(std::mem::replace(rest, others))
                })*
            }
        };
    }
    each_type!(take)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let stacked =
            stack(vec![vec![floats(&[1, 2], 0.0), words(&["a"])], vec![floats(&[2, 2], 2.0), words(&["b", "c"])]]);
        let want = Stacked { arrays: vec![floats(&[3, 2], 0.0), words(&["a", "b", "c"])], rows: vec![1, 2] };
        assert_eq!(stacked, Ok(want));
    }

    #[test]
    fn what_does_not_fit_comes_back() {
        for requests in [
            vec![],
            vec![vec![floats(&[1, 2], 0.0)], vec![floats(&[1, 3], 0.0)]],
            vec![vec![floats(&[1], 0.0)], vec![words(&["a"])]],
            vec![vec![floats(&[], 0.0)]],
            vec![vec![floats(&[2], 0.0), words(&["a"])]],
            vec![vec![floats(&[1], 0.0)], vec![floats(&[1], 0.0), words(&["a"])]],
        ] {
            assert_eq!(stack(requests.clone()), Err(requests));
        }
        assert_eq!(split(floats(&[3], 0.0), &[1, 1]), None);
        assert_eq!(split(floats(&[], 0.0), &[1]), None);
    }

    proptest! {
        #[test]
        fn what_is_stacked_comes_apart_again(rows in prop::collection::vec(0_usize..5, 1..6), inner in 0_usize..4) {
            let requests: Vec<Vec<Array>> =
                rows.iter().zip(0_u8..).map(|(rows, index)| vec![floats(&[*rows, inner], f32::from(index))]).collect();
            let mut stacked = stack(requests.clone()).unwrap();
            prop_assert_eq!(&stacked.rows, &rows);
            let apart = split(stacked.arrays.remove(0), &rows).unwrap();
            prop_assert_eq!(apart.into_iter().map(|array| vec![array]).collect::<Vec<_>>(), requests);
        }
    }
}
