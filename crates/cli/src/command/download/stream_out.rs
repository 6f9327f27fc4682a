//! `-o -`: one file on standard output, in order, while it comes.

use std::io::{self, Write};

use riverrun::FileReader;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The most bytes that are written at once.
const CHUNK: usize = 256 << 10;

/// A thread that writes what is verified. A slow reader of standard output holds up this thread alone.
#[derive(Debug)]
pub(crate) struct StreamOut {
    ending: oneshot::Receiver<End>,
    end: Option<End>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All is written.
    Written,
    /// The torrent gives no more.
    NotRead(io::Error),
    /// Standard output takes no more.
    NotWritten(io::Error),
}

impl StreamOut {
    /// Begins to write the file to `out`. It needs a runtime around it.
    pub(crate) fn start(mut reader: FileReader, mut out: Box<dyn Write + Send>) -> io::Result<Self> {
        let (end, ending) = oneshot::channel();
        let runtime = Handle::current();
        std::thread::Builder::new().name("stdout".into()).spawn(move || {
            let mut chunk = vec![0; CHUNK];
            let ended = loop {
                let count = match runtime.block_on(reader.read(&mut chunk)) {
                    Ok(0) => break End::Written,
                    Ok(count) => count,
                    Err(error) => break End::NotRead(error),
                };
                if let Err(error) = out.write_all(&chunk[..count]).and_then(|()| out.flush()) {
                    break End::NotWritten(error);
                }
            };
            let _ = end.send(ended);
        })?;
        Ok(Self { ending, end: None })
    }

    /// Waits for the end. May be asked again.
    pub(crate) async fn end(&mut self) -> &End {
        let Self { ending, end } = self;
        match end {
            Some(end) => end,
            none => {
                let gone = |_| End::NotRead(io::Error::other("the thread that writes to standard output is gone"));
                none.insert(ending.await.unwrap_or_else(gone))
            }
        }
    }
}
