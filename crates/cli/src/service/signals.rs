//! Ctrl-C and SIGTERM.

use crate::exit;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that the first Ctrl-C or SIGTERM cancels; the second one ends the program at once.
///
/// Workers are not in the terminal's process group: they end through their lifeline, or after a drain.
pub(crate) fn stop() -> std::io::Result<CancellationToken> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if token.is_cancelled() {
                std::process::exit(exit::INTERRUPTED.into());
            }
            token.cancel();
        }
    });
    Ok(stop)
}
