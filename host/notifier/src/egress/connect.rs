//! Connections to addresses that the guard has passed.

use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

/// How long one of several addresses may keep the others waiting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the first of `addresses` that takes one.
pub(super) async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut failure = String::from("there is no address");
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Only a matter of latency.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = format!("no connection to {address}: {error}"),
            Err(_) => failure = format!("no connection to {address} within {} s", CONNECT_TIMEOUT.as_secs()),
        }
    }
    Err(failure)
}

/// TLS over `stream`, verified for the URL's host.
pub(super) async fn tls(
    config: &Arc<rustls::ClientConfig>,
    url: &Url,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let host = url.host_str().unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| format!("`{host}` is no name that a certificate can bear"))?;
    let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    connected.map_err(|error| format!("no TLS with `{host}`: {error}"))
}

/// TLS that trusts what the machine trusts.
pub(super) async fn native_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    tokio::task::spawn_blocking(|| {
        let mut roots = rustls::RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if unusable > 0 {
            tracing::debug!(unusable, "certificates of this machine that can't be used");
        }
        if roots.is_empty() {
            return Err("this machine has no trusted certificates (package `ca-certificates`)".into());
        }
        client_config(roots)
    })
    .await
    .map_err(|error| format!("the certificates were not loaded: {error}"))?
}

/// TLS that trusts `roots`, with no session kept from one plugin's call to another's.
pub(super) fn client_config(roots: rustls::RootCertStore) -> Result<Arc<rustls::ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
