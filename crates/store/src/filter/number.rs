//! Compares numbers of different kinds exactly.

use bson::{Decimal128, RawBsonRef};
use std::cmp::Ordering;

/// A number in BSON.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
    Decimal(Decimal128),
}

impl Number {
    pub(super) fn of(value: RawBsonRef<'_>) -> Option<Self> {
        match value {
            RawBsonRef::Int32(number) => Some(Self::Int(number.into())),
            RawBsonRef::Int64(number) => Some(Self::Int(number)),
            RawBsonRef::Double(number) => Some(Self::Double(number)),
            RawBsonRef::Decimal128(number) => Some(Self::Decimal(number)),
            _ => None,
        }
    }

    pub(super) fn is_nan(self) -> bool {
        match self {
            Self::Int(_) => false,
            Self::Double(number) => number.is_nan(),
            Self::Decimal(number) => matches!(Decimal::of(number), Decimal::NaN),
        }
    }

    /// NaN sorts before every other number and equals itself.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one.cmp(&other),
            (Self::Double(one), Self::Double(other)) => doubles(one, other),
            (Self::Int(one), Self::Double(other)) => int_and_double(one, other),
            (Self::Double(one), Self::Int(other)) => int_and_double(other, one).reverse(),
            (one, other) => one.decimal().compare(&other.decimal()),
        }
    }

    fn decimal(self) -> Decimal {
        match self {
            Self::Int(number) => Decimal::parse(&number.to_string()),
            // All digits of a double: the smallest one ends 1074 places after the point.
            Self::Double(number) if number.is_finite() => Decimal::parse(&format!("{number:.1074}")),
            Self::Double(number) if number.is_nan() => Decimal::NaN,
            Self::Double(number) => Decimal::Infinite { negative: number < 0.0 },
            Self::Decimal(number) => Decimal::of(number),
        }
    }
}

/// The integer equal to a decimal, if there is one.
pub(crate) fn integer(decimal: Decimal128) -> Option<i64> {
    match Decimal::of(decimal) {
        Decimal::Zero => Some(0),
        Decimal::Finite { negative, power, digits } => {
            let zeros = usize::try_from(power).ok().filter(|power| *power < 20)?.checked_sub(digits.len())?;
            let digits = String::from_utf8(digits).ok()?;
            format!("{}{digits}{}", if negative { "-" } else { "" }, "0".repeat(zeros)).parse().ok()
        }
        Decimal::NaN | Decimal::Infinite { .. } => None,
    }
}

fn doubles(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| other.is_nan().cmp(&one.is_nan()))
}

fn int_and_double(int: i64, double: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() || double < -LIMIT {
        return Ordering::Greater;
    }
    if double >= LIMIT {
        return Ordering::Less;
    }
    let whole = double.trunc();
    int.cmp(&(whole as i64)).then_with(|| doubles(whole, double))
}

/// A decimal number: 0.DIGITS times a power of ten.
#[derive(Debug, PartialEq, Eq)]
enum Decimal {
    NaN,
    Infinite { negative: bool },
    Zero,
    Finite { negative: bool, power: i64, digits: Vec<u8> },
}

impl Decimal {
    fn of(number: Decimal128) -> Self {
        Self::parse(&number.to_string())
    }

    /// Parses the text that numbers format as: `-12.5E+3`, `NaN`, `Infinity`.
    fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        match mantissa {
            "NaN" => return Self::NaN,
            "Infinity" => return Self::Infinite { negative },
            _ => {}
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let Some(first) = all.iter().position(|&digit| digit != b'0') else { return Self::Zero };
        let last = all.iter().rposition(|&digit| digit != b'0').map_or(all.len(), |last| last + 1);
        let exponent: i64 = exponent.parse().unwrap_or_default();
        let power = exponent + whole.len() as i64 - first as i64;
        Self::Finite { negative, power, digits: all[first..last].to_vec() }
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place()).then_with(|| match (self, other) {
            (
                Self::Finite { negative, power, digits },
                Self::Finite { power: other_power, digits: other_digits, .. },
            ) => {
                let size = power.cmp(other_power).then_with(|| digits.cmp(other_digits));
                if *negative { size.reverse() } else { size }
            }
            _ => Ordering::Equal,
        })
    }

    /// The rank of a number's sort in the order.
    fn place(&self) -> i8 {
        match self {
            Self::NaN => -3,
            Self::Infinite { negative: true } => -2,
            Self::Finite { negative: true, .. } => -1,
            Self::Zero => 0,
            Self::Finite { negative: false, .. } => 1,
            Self::Infinite { negative: false } => 2,
        }
    }
}
