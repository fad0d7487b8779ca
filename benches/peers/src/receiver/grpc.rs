//! OTLP over gRPC, by `h2` and no framework.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::count;

/// As large as grpc-go's windows grow, so that flow control is nobody's limit.
const WINDOW: u32 = 16 << 20;

/// A compression flag and a length of four bytes stand before a gRPC message.
const PREFIX: usize = 5;

/// Answers for as long as the process lives.
pub(super) async fn serve(listener: TcpListener) {
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(socket));
            }
        })
        .await;
}

async fn connection(socket: TcpStream) {
    // Without it the answer would wait for the client's delayed acknowledgement.
    let _ = socket.set_nodelay(true);
    let handshake = server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(1 << 20)
        .handshake::<_, Bytes>(socket);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::task::spawn_local(async move {
            if let Err(error) = export(request, respond).await {
                eprintln!("receiver: {error}");
            }
        });
    }
}

async fn export(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let body = read(request.into_body()).await?;
    let message = body.get(PREFIX..).filter(|_| body[0] == 0);
    count(body.len(), message);

    let mut response = Response::new(());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(Bytes::from_static(&[0; PREFIX]), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

async fn read(mut body: RecvStream) -> Result<BytesMut, h2::Error> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}
