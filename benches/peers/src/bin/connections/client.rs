//! A plain HTTP/2 client: bodies of one size, one after the other in each stream.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

/// As long as it lives, it sends.
#[derive(Debug)]
pub(crate) struct Sending {
    _stop: oneshot::Sender<()>,
}

pub(crate) fn send(
    address: SocketAddr,
    connections: usize,
    streams: usize,
    bytes: usize,
) -> io::Result<Sending> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        LocalSet::new().block_on(&runtime, async {
            // No message: its parts are not looked at.
            let mut body = vec![0xff; bytes];
            body[0] = 0;
            let body = Bytes::from(body);
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
                tasks.spawn_local(connection(address, streams, body.clone()));
            }
            let _ = stopped.await;
        });
    });
    Ok(Sending { _stop: stop })
}

async fn connection(address: SocketAddr, streams: usize, body: Bytes) {
    let Ok(socket) = TcpStream::connect(address).await else {
        return;
    };
    let _ = socket.set_nodelay(true);
    let Ok((sender, connection)) = h2::client::handshake(socket).await else {
        return;
    };
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        tasks.spawn_local(stream(sender.clone(), body.clone()));
    }
    let _ = connection.await;
}

async fn stream(sender: SendRequest<Bytes>, body: Bytes) {
    while let Ok(()) = request(sender.clone(), body.clone()).await {}
}

async fn request(sender: SendRequest<Bytes>, body: Bytes) -> Result<(), h2::Error> {
    let mut sender = sender.ready().await?;
    let request = http::Request::post("http://collector/export").body(());
    let Ok(request) = request else {
        return Ok(());
    };
    let (answer, mut out) = sender.send_request(request, false)?;
    out.send_data(body, true)?;
    let mut answer = answer.await?.into_body();
    while let Some(part) = answer.data().await {
        let length = part?.len();
        answer.flow_control().release_capacity(length)?;
    }
    answer.trailers().await?;
    Ok(())
}
