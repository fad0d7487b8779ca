//! A server may repeat what it was told, as in "the token abc has expired": what users put into headers is shown by nobody.

use http::{HeaderMap, HeaderValue};

use crate::export::transport::{Answer, Failure};

const MASK: &str = "***";

/// Shorter values are no secrets, and stand in many texts.
const SHORTEST: usize = 6;

/// Of a value at whose place a text was cut, so much at least is hidden.
const SHORTEST_PIECE: usize = 4;

/// What an answer means, without the values of these headers in its text.
pub(super) fn masked(
    verdict: Result<Answer, Failure>,
    headers: &HeaderMap,
) -> Result<Answer, Failure> {
    match verdict {
        Ok(answer) => Ok(Answer {
            message: without(answer.message, headers),
            ..answer
        }),
        Err(failure) => Err(Failure {
            message: without(failure.message, headers),
            ..failure
        }),
    }
}

fn without(text: String, headers: &HeaderMap) -> String {
    if text.is_empty() {
        return text;
    }
    let mut secrets: Vec<&str> = headers.values().flat_map(secrets).collect();
    // One that holds another goes first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text, |text, secret| {
        without_pieces(text.replace(secret, MASK), secret)
    })
}

/// A value as it is, and without a scheme such as `Bearer` before it.
fn secrets(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let value = value.to_str().unwrap_or_default();
    let bare = value.rsplit(' ').next();
    let both = [Some(value), bare.filter(|bare| *bare != value)];
    both.into_iter()
        .flatten()
        .filter(|secret| secret.len() >= SHORTEST)
}

/// Where a text was cut, the begin of a value may stand.
fn without_pieces(text: String, secret: &str) -> String {
    let Some((before, behind)) = text.rsplit_once('…') else {
        return text;
    };
    let lengths = (SHORTEST_PIECE..secret.len()).rev();
    let piece = lengths
        .filter_map(|length| secret.get(..length))
        .find_map(|piece| before.strip_suffix(piece));
    match piece {
        Some(before) => format!("{before}{MASK}…{behind}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let value = |value: &&str| HeaderValue::from_str(value).unwrap();
        let values = values.iter().map(value);
        values.map(|value| (AUTHORIZATION, value)).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        )
    }

    #[test]
    fn f_25_what_a_server_repeats_is_not_shown() {
        let headers = headers(&["Bearer s3cr3t-token", "s3cr3t", "tiny", ""]);
        for (said, shown) in [
            ("Bearer s3cr3t-token has expired", "*** has expired"),
            ("the token s3cr3t-token, s3cr3t", "the token ***, ***"),
            ("no key s3cr3t-tok… (cut)", "no key ***… (cut)"),
            ("no key s3c…", "no key s3c…"),
            ("a tiny token of a Bearer", "a tiny token of a Bearer"),
            ("", ""),
        ] {
            assert_eq!(without(said.to_owned(), &headers), shown);
            let failure = masked(Err(Failure::reject(said)), &headers);
            assert_eq!(failure, Err(Failure::reject(shown)));
            let answer = masked(Ok(Answer::partial(1, said)), &headers);
            assert_eq!(answer, Ok(Answer::partial(1, shown)));
        }
    }

    proptest! {
        #[test]
        fn f_25_no_text_holds_a_secret(secret in "[a-c]{6,9}", text in "[a-c …]{0,60}") {
            let shown = without(text, &headers(&[&format!("Basic {secret}")]));
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
