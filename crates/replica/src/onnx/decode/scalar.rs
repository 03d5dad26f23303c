//! Element types, as far as JSON values become one.

use half::f16;

/// Why a JSON value cannot be an element.
#[derive(Debug)]
pub(super) enum Refused {
    Kind,
    Range,
}

pub(super) trait Scalar: Sized {
    /// Follows "is X, but".
    const WANTED: &'static str;

    fn from_u64(_: u64) -> Result<Self, Refused> {
        Err(Refused::Kind)
    }
    fn from_i64(_: i64) -> Result<Self, Refused> {
        Err(Refused::Kind)
    }
    fn from_f64(_: f64) -> Result<Self, Refused> {
        Err(Refused::Kind)
    }
    fn from_bool(_: bool) -> Result<Self, Refused> {
        Err(Refused::Kind)
    }
    fn from_text(_: &str) -> Result<Self, Refused> {
        Err(Refused::Kind)
    }
}

impl Scalar for bool {
    const WANTED: &'static str = "this input takes true and false";

    fn from_bool(value: bool) -> Result<Self, Refused> {
        Ok(value)
    }
}

impl Scalar for String {
    // ONNX Runtime takes strings that end at the first NUL.
    const WANTED: &'static str = "this input takes strings without NUL characters";

    fn from_text(value: &str) -> Result<Self, Refused> {
        if value.contains('\0') { Err(Refused::Kind) } else { Ok(value.to_owned()) }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            const WANTED: &'static str = "this input takes whole numbers";

            fn from_u64(value: u64) -> Result<Self, Refused> {
                value.try_into().map_err(|_| Refused::Range)
            }

            fn from_i64(value: i64) -> Result<Self, Refused> {
                value.try_into().map_err(|_| Refused::Range)
            }

            fn from_f64(value: f64) -> Result<Self, Refused> {
                // JSON numbers beyond 64 bits arrive as floats too.
                Err(if value.abs() >= 9.2e18 { Refused::Range } else { Refused::Kind })
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($type:ty: $round:expr),*) => {$(
        impl Scalar for $type {
            const WANTED: &'static str = "this input takes numbers";

            fn from_u64(value: u64) -> Result<Self, Refused> {
                Scalar::from_f64(value as f64)
            }

            fn from_i64(value: i64) -> Result<Self, Refused> {
                Scalar::from_f64(value as f64)
            }

            fn from_f64(value: f64) -> Result<Self, Refused> {
                let rounded: Self = $round(value);
                if rounded.is_finite() { Ok(rounded) } else { Err(Refused::Range) }
            }
        }
    )*};
}

floats!(f16: f16::from_f64, f32: |value| value as f32, f64: |value| value);
