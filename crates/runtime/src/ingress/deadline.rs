//! The deadline in a client's headers.

use http::HeaderMap;
use std::time::Duration;
use tonic::Status;

/// Parses the header `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests").
pub(super) fn of_grpc(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(parse_grpc);
    parsed.map(Some).ok_or_else(|| {
        Status::invalid_argument(
            "the header `grpc-timeout` must be 1 to 8 digits and one of H, M, S, m, u, n",
        )
    })
}

fn parse_grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Parses the header `connect-timeout-ms`: up to ten digits (Connect protocol, "Unary-Request").
pub(super) fn of_connect(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("connect-timeout-ms") else { return Ok(None) };
    let text =
        value.to_str().ok().filter(|text| text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()));
    let millis = text
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Status::invalid_argument("the header `connect-timeout-ms` must be 1 to 10 digits"))?;
    Ok(Some(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn grpc() {
        let rows = [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("0n", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1é", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_grpc(text), expected, "{text}");
        }
    }

    #[test]
    fn connect() {
        let of = |text| {
            let mut headers = HeaderMap::new();
            headers.insert("connect-timeout-ms", HeaderValue::from_static(text));
            of_connect(&headers).ok().flatten()
        };
        assert_eq!(of("1500"), Some(Duration::from_millis(1500)));
        for bad in ["", "1.5", "-1", "12345678901", "soon"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
