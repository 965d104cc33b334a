//! A server on loopback that is as bad as the plugins: it hangs, never ends, or sends what is no answer.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts it, and gives its port: one of five digits, as the files' lengths want it.
pub(crate) async fn start() -> u16 {
    let listener = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        if listener.local_addr().expect("an address").port() >= 10_000 {
            break listener;
        }
    };
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    port
}

/// Answers as the path says, until the other side has gone.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await?;
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    match path {
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 16_384]).await?;
            }
        }
        "/endless-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await?;
            loop {
                stream.write_all(&[b'x'; 16_384]).await?;
            }
        }
        "/many-headers" => {
            let headers = (0..1_000).map(|nth| format!("x-{nth}: 1\r\n")).collect::<Vec<_>>().concat();
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes()).await
        }
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                // Slowness is what this server does.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        "/hang" => {
            // Until the other side has gone.
            while stream.read(&mut [0; 64]).await? > 0 {}
            Ok(())
        }
        _ => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await,
    }
}
