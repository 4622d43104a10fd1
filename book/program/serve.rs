//! The pages on a local port.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use tower_http::services::{ServeDir, ServeFile};

/// The port tried first.
pub const FIRST_PORT: u16 = 3000;

/// How many ports are tried, one after the other.
const PORTS: u16 = 100;

/// Binds the first free port of the loopback address from `first` on.
///
/// # Errors
///
/// `EADDRINUSE`: a hundred ports in a row are taken; or whatever else `bind(2)` refuses.
pub fn listen(first: u16) -> io::Result<TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for port in first..first.saturating_add(PORTS) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Serves the folder of pages on `listener` until the process ends.
pub fn serve(listener: TcpListener, pages: &Path) -> Result<()> {
    let not_found = ServeFile::new(pages.join("404.html"));
    let files = ServeDir::new(pages).not_found_service(not_found);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, Router::new().fallback_service(files)).await.context("serving the pages")
    })
}
