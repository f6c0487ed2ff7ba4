//! Decimal numbers of any length, converted to integers without rounding.

/// The parts of a number: digits before and after the point, and the exponent.
#[derive(Debug, Clone, Copy)]
struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

/// Why a text is not an integer in the range of `i128`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotInteger {
    /// It is not a number, or not an integer.
    Other,
    /// It is out of range.
    TooLarge,
}

/// Parses an integer, in forms such as `7`, `7.0` and `70e-1`.
pub(crate) fn whole(text: &str) -> Result<i128, NotInteger> {
    if text.len() <= 18
        && let Ok(number) = text.parse::<i64>()
    {
        return Ok(number.into());
    }
    let Decimal { negative, whole, fraction, exponent } = Decimal::parse(text).ok_or(NotInteger::Other)?;
    let all = [whole, fraction].concat();
    let digits = all.trim_end_matches('0');
    let dropped = (all.len() - digits.len()) as i64;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let scale = exponent.saturating_sub(fraction.len() as i64).saturating_add(dropped);
    let scale =
        u32::try_from(scale).map_err(|_| if scale < 0 { NotInteger::Other } else { NotInteger::TooLarge })?;
    let number = digits.parse::<i128>().ok().zip(10_i128.checked_pow(scale));
    let number = number.and_then(|(digits, power)| digits.checked_mul(power)).ok_or(NotInteger::TooLarge)?;
    Ok(if negative { -number } else { number })
}

/// Parses a number to the nearest double, or infinity beyond the range; `None` if the text is not a number.
pub(crate) fn double(text: &str) -> Option<f64> {
    Decimal::parse(text).and_then(|_| text.parse().ok())
}

impl<'t> Decimal<'t> {
    /// Parses a number with or without a sign, as JSON strings contain it.
    fn parse(text: &'t str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let valid = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
        valid.then_some(Self { negative, whole, fraction, exponent })
    }
}

/// Parses an exponent. Its value saturates, far beyond any useful exponent.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_keep_their_digits() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("+7", Ok(7)),
            ("007", Ok(7)),
            ("7.", Ok(7)),
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("1.50e1", Ok(15)),
            ("100e-2", Ok(1)),
            ("0e99999999999999999999", Ok(0)),
            ("9007199254740993.0", Ok(9_007_199_254_740_993)),
            ("18446744073709551615", Ok(u64::MAX.into())),
            ("-9223372036854775808", Ok(i64::MIN.into())),
            ("1e38", Ok(10_i128.pow(38))),
            ("1e39", Err(NotInteger::TooLarge)),
            ("1e99999999999999999999", Err(NotInteger::TooLarge)),
            ("1e-99999999999999999999", Err(NotInteger::Other)),
            ("1.5", Err(NotInteger::Other)),
            ("", Err(NotInteger::Other)),
            ("+", Err(NotInteger::Other)),
            (".", Err(NotInteger::Other)),
            (" 1", Err(NotInteger::Other)),
            ("1_000", Err(NotInteger::Other)),
            ("0x1", Err(NotInteger::Other)),
            ("1e", Err(NotInteger::Other)),
            ("١", Err(NotInteger::Other)),
            ("NaN", Err(NotInteger::Other)),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn doubles_are_the_nearest() {
        for (text, expected) in
            [("0.1", 0.1), ("5", 5.0), (".5", 0.5), ("1e400", f64::INFINITY), ("8.41e+17", 8.41e17)]
        {
            assert_eq!(double(text), Some(expected), "{text}");
        }
        assert!(double("-0").is_some_and(f64::is_sign_negative));
        for text in ["inf", "nan", "Infinity", "", " 1", "1 ", "1_0", "--1"] {
            assert_eq!(double(text), None, "{text}");
        }
    }
}
