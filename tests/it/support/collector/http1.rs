//! HTTP/1.1 by hand, so that it can misbehave.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::manner::{Answer, Flood, Framing, Manner, Pace, Part};
use super::request::Head;
use super::serve::{Connection, forever, last};
use super::wire::Line;

const MOST_OF_A_HEAD: usize = 64 << 10;

/// Serves one request after another until an end is asked for.
pub(super) async fn serve(line: Line, connection: &Connection) -> io::Result<()> {
    let mut reader = Reader {
        line,
        read: Vec::new(),
    };
    loop {
        // Before its first byte, there is no request.
        if reader.read.is_empty() && !reader.more().await? {
            return Ok(());
        }
        let at_work = connection.begin();
        let Some(head) = reader.head().await? else {
            let refusal = Answer::http(400).with_body("text/plain", "400 Bad Request");
            return write(&mut reader.line, &refusal, true).await;
        };
        let body = reader.body(&head).await?;
        let goes_on = answer(&mut reader.line, connection, head, &body).await?;
        drop(at_work);
        if !goes_on {
            return last(&mut reader.line, &[]).await;
        }
    }
}

/// Gives whether the connection goes on.
async fn answer(
    line: &mut Line,
    connection: &Connection,
    head: Head,
    body: &[u8],
) -> io::Result<bool> {
    let protocol = head.protocol();
    let asks_to_close = has(&head.headers, "connection", "close");
    let mut decided = connection.decide(head.into_request(body));
    if let Manner::TakeAndReset(bytes) = decided.manner {
        connection.faults.reset_after(bytes);
    }
    if let Some(answer) = decided.manner.answer(protocol) {
        let closes = asks_to_close
            || matches!(decided.manner, Manner::TakeAndGoAway)
            || matches!(answer.framing, Framing::Close | Framing::Wrong(_));
        let mut gone = [0];
        tokio::select! {
            () = tokio::time::sleep(answer.after) => {}
            // A client that has gone is not waited for.
            _ = line.read(&mut gone), if !answer.after.is_zero() => return Ok(false),
        }
        write(line, &answer, closes).await?;
        decided.answered();
        return Ok(!closes);
    }
    match decided.manner.clone() {
        Manner::Hang => line.drain().await,
        Manner::Reset => {
            connection.faults.reset_after(0);
            line.drain().await;
        }
        Manner::Bytes(bytes) => line.write_all(&bytes).await?,
        Manner::Trickle(part, pace) => trickle(line, part, pace, protocol).await?,
        Manner::Flood(Flood::Settings | Flood::Ping | Flood::Reset) => {
            forever(line, b"HTTP/1.1 103 Early Hints\r\n\r\n", Pace::FAST).await?;
        }
        // Its own end alone.
        Manner::HalfClose => {}
        // The others close.
        _ => return Err(io::ErrorKind::ConnectionAborted.into()),
    }
    Ok(false)
}

async fn trickle(
    line: &mut Line,
    part: Part,
    pace: Pace,
    protocol: tracing_otlp::Protocol,
) -> io::Result<()> {
    match part {
        Part::Whole => {
            let answer = bytes(&Answer::success(protocol), true);
            for piece in answer.chunks(pace.bytes) {
                line.write_all(piece).await?;
                tokio::time::sleep(pace.every).await;
            }
            Ok(())
        }
        Part::Headers => {
            line.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            forever(line, b"x-header: and so on and so on\r\n", pace).await
        }
        Part::Body => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\
                transfer-encoding: chunked\r\n\r\n";
            line.write_all(head).await?;
            forever(line, b"10\r\n0123456789abcdef\r\n", pace).await
        }
    }
}

async fn write(line: &mut Line, answer: &Answer, closes: bool) -> io::Result<()> {
    for status in &answer.interim {
        let interim = format!("HTTP/1.1 {status} Interim\r\n\r\n");
        line.write_all(interim.as_bytes()).await?;
    }
    line.write_all(&bytes(answer, closes)).await?;
    line.flush().await
}

fn bytes(answer: &Answer, closes: bool) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} As Scripted\r\n", answer.status).into_bytes();
    let mut header = |name: &str, value: &[u8]| {
        text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    };
    for (name, value) in &answer.headers {
        header(name, value);
    }
    if closes {
        header("connection", b"close");
    }
    let is_chunked = answer.trailers.is_some() || answer.framing == Framing::Chunked;
    match answer.framing {
        _ if is_chunked => header("transfer-encoding", b"chunked"),
        Framing::Wrong(length) => header("content-length", length.to_string().as_bytes()),
        Framing::Close | Framing::Chunked => {}
        Framing::Length if matches!(answer.status, 204 | 304) => {}
        Framing::Length => header("content-length", answer.body.len().to_string().as_bytes()),
    }
    text.extend(b"\r\n");
    if !is_chunked {
        text.extend(&answer.body);
        return text;
    }
    for piece in answer.body.chunks(1_000) {
        text.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        text.extend(piece);
        text.extend(b"\r\n");
    }
    text.extend(b"0\r\n");
    for (name, value) in answer.trailers.iter().flatten() {
        text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}

struct Reader {
    line: Line,
    /// What was read and not yet used.
    read: Vec<u8>,
}

impl Reader {
    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.line.read_buf(&mut self.read).await? > 0)
    }

    async fn need(&mut self) -> io::Result<()> {
        if self.more().await? {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Up to and without the line's end.
    async fn row(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n") {
                let row = String::from_utf8_lossy(&self.read[..end]).into_owned();
                self.read.drain(..end + 2);
                return Ok(row);
            }
            if self.read.len() > MOST_OF_A_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.need().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.need().await?;
        }
        Ok(self.read.drain(..length).collect())
    }

    /// Nothing where it is no head of HTTP/1.
    async fn head(&mut self) -> io::Result<Option<Head>> {
        // A TLS hello has no ends of lines.
        if self.read.first() == Some(&0x16) {
            return Ok(None);
        }
        let request = self.row().await?;
        let mut words = request.split(' ');
        let (Some(method), Some(path), Some("HTTP/1.1")) =
            (words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let Some(headers) = self.headers().await? else {
            return Ok(None);
        };
        Ok(Some(Head {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            is_http2: false,
        }))
    }

    async fn headers(&mut self) -> io::Result<Option<HeaderMap>> {
        let mut headers = HeaderMap::new();
        loop {
            let row = self.row().await?;
            if row.is_empty() {
                return Ok(Some(headers));
            }
            let Some((name, value)) = row.split_once(':') else {
                return Ok(None);
            };
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.trim().as_bytes()),
            ) else {
                return Ok(None);
            };
            headers.append(name, value);
        }
    }

    async fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if has(&head.headers, "expect", "100-continue") {
            self.line
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        if !has(&head.headers, "transfer-encoding", "chunked") {
            let length = head.headers.get("content-length");
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            return self.exactly(length.unwrap_or(0)).await;
        }
        let mut body = Vec::new();
        loop {
            let size = self.row().await?;
            let digits = size.split(';').next().unwrap_or_default();
            let Ok(size) = usize::from_str_radix(digits.trim(), 16) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            if size == 0 {
                self.headers().await?;
                return Ok(body);
            }
            body.extend(self.exactly(size).await?);
            self.row().await?;
        }
    }
}

fn has(headers: &HeaderMap, name: &str, value: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|one| one.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
