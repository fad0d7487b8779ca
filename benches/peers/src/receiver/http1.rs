//! OTLP over HTTP/1.1: reads as many bytes as `content-length` says, and answers 200.
//!
//! It knows what an exporter sends and nothing more: one request after another, no chunks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::count;

/// An empty `ExportTraceServiceResponse`.
const PROTOBUF: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
const JSON: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// More than a batch, so that a body is read by few calls.
const BUFFER: usize = 1 << 20;

/// Answers for as long as the process lives.
pub(super) fn serve(listener: TcpListener) {
    for socket in listener.incoming().flatten() {
        thread::spawn(|| {
            if let Err(error) = connection(socket) {
                eprintln!("receiver: {error}");
            }
        });
    }
}

fn connection(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(BUFFER, socket.try_clone()?);
    let mut body = Vec::new();
    while let Some(head) = Head::read(&mut reader)? {
        body.resize(head.length, 0);
        reader.read_exact(&mut body)?;
        count(
            body.len(),
            (!head.is_json && !head.is_compressed).then_some(&body),
        );
        socket.write_all(if head.is_json { JSON } else { PROTOBUF })?;
    }
    Ok(())
}

/// What has to be known of a request.
#[derive(Debug, Default, PartialEq)]
struct Head {
    length: usize,
    is_json: bool,
    is_compressed: bool,
}

impl Head {
    /// The next one; `None` at the end of the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let text = line.trim_end();
            if text.is_empty() {
                return Ok(Some(head));
            }
            // The line of the request has no colon before a space.
            let (name, value) = text.split_once(": ").unwrap_or((text, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().map_err(io::Error::other)?,
                "content-type" => head.is_json = value == "application/json",
                "content-encoding" => head.is_compressed = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_up_to_its_body() {
        let text = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let mut reader = text.as_bytes();
        let expected = Head {
            length: 2,
            is_json: true,
            is_compressed: false,
        };
        assert_eq!(Head::read(&mut reader).ok(), Some(Some(expected)));
        assert_eq!(reader, b"{}");
        assert_eq!(Head::read(&mut &b""[..]).ok(), Some(None));
    }
}
