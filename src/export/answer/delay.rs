//! How long a server asks to be left in peace: `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

/// Nobody is asked to wait longer.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// The longest delay that the headers name, an hour at most; `None` where they name none that can be read. A date is measured
/// against the answer's own `date`, so that a local clock that is wrong does not matter, and against `now` without one.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let now = headers
        .get(header::DATE)
        .and_then(|date| httpdate::parse_http_date(text(date)?).ok())
        .unwrap_or(now);
    headers
        .get_all(header::RETRY_AFTER)
        .iter()
        .filter_map(|value| delay(text(value)?, now))
        .max()
        .map(|delay| delay.min(LONGEST))
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes())
        .ok()
        .map(|text| text.trim_matches([' ', '\t']))
}

fn delay(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(value) {
        // What has passed is no longer to be waited for.
        return Some(date.duration_since(now).unwrap_or_default());
    }
    // Who joined repeated headers into one has put commas between them.
    value.split(',').filter_map(seconds).max()
}

/// Digits alone; more than fit are the longest delay.
fn seconds(value: &str) -> Option<Duration> {
    let digits = value.trim_matches([' ', '\t']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().map_or(LONGEST, Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::now;
    use super::*;

    fn headers(retry_after: &[&str], date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in retry_after {
            headers.append(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        }
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_str(date).unwrap());
        }
        headers
    }

    fn asked(retry_after: &[&str], date: Option<&str>) -> Option<u64> {
        super::retry_after(&headers(retry_after, date), now()).map(|delay| delay.as_secs())
    }

    #[test]
    fn spec_2_25_f_12_seconds_are_digits_and_an_hour_at_most() {
        let forty = "1".repeat(40);
        for (value, expected) in [
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("\t30", Some(30)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("3600", Some(3600)),
            ("3601", Some(3600)),
            (forty.as_str(), Some(3600)),
            ("18446744073709551615", Some(3600)),
            ("-1", None),
            ("+1", None),
            ("1e9", None),
            ("1.5", None),
            ("30s", None),
            ("3 0", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(asked(&[value], None), expected, "{value:?}");
        }
        assert_eq!(asked(&[], None), None);
    }

    #[test]
    fn spec_2_25_f_12_every_form_of_a_date_is_read() {
        for value in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(asked(&[value], None), Some(60), "{value}");
        }
        assert_eq!(asked(&["Sun, 06 Nov 1994 08:49:00 GMT"], None), Some(0));
        assert_eq!(asked(&["Thu, 06 Nov 2594 08:49:00 GMT"], None), Some(3600));
        assert_eq!(asked(&["Sun, 32 Nov 1994 08:50:37 GMT"], None), None);
    }

    #[test]
    fn f_12_a_date_is_measured_by_the_servers_own_clock() {
        let later = "Tue, 01 Jan 2030 00:00:40 GMT";
        assert_eq!(
            asked(&[later], Some("Tue, 01 Jan 2030 00:00:00 GMT")),
            Some(40)
        );
        assert_eq!(
            asked(&[later], Some("Tue, 01 Jan 2030 00:01:00 GMT")),
            Some(0)
        );
        assert_eq!(
            asked(&[later], Some("yesterday")),
            Some(3600),
            "by our clock"
        );
    }

    #[test]
    fn f_12_of_several_the_longest_that_can_be_read_holds() {
        assert_eq!(asked(&["10", "soon", "30", "20"], None), Some(30));
        assert_eq!(
            asked(&["10", "Sun, 06 Nov 1994 08:50:37 GMT"], None),
            Some(60)
        );
        assert_eq!(asked(&["10, 30"], None), Some(30));
        assert_eq!(asked(&["", "soon"], None), None);
    }

    proptest! {
        #[test]
        fn no_value_does_harm(values: Vec<Vec<u8>>, date: Vec<u8>, at in 0_u64..1 << 40) {
            let mut headers = HeaderMap::new();
            for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                headers.append(header::RETRY_AFTER, value);
            }
            if let Ok(date) = HeaderValue::from_bytes(&date) {
                headers.insert(header::DATE, date);
            }
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            prop_assert!(retry_after(&headers, now) <= Some(LONGEST));
        }

        #[test]
        fn a_date_is_as_far_as_it_is(at in 0_u64..1 << 32, ahead in 0_u64..10_000, skew in 0_u64..1 << 32) {
            let date = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let headers = headers(&[&date(at + ahead)], Some(&date(at)));
            let wrong = SystemTime::UNIX_EPOCH + Duration::from_secs(skew);
            prop_assert_eq!(retry_after(&headers, wrong), Some(Duration::from_secs(ahead.min(3600))));
        }
    }
}
