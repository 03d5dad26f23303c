//! Output of other programs, line by line, whatever they print: no line end, no UTF-8, a gigabyte on one line.

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Child,
    task::JoinHandle,
};

/// The longest line passed on, in bytes; the rest of it is dropped.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// Calls `each` for every line until the end of `source`. A read error ends it like the end of the file.
pub(crate) async fn each_line(source: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut source, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        each(text.trim_end_matches('\r'));
    }
}

/// Calls `each` for every line that a child writes to a pipe, with the name of the stream. Ends when both streams have.
pub(crate) fn output_of(
    child: &mut Child,
    each: impl Fn(&'static str, &str) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    tokio::spawn(async move {
        let out = async {
            if let Some(pipe) = stdout {
                each_line(pipe, |line| each("stdout", line)).await;
            }
        };
        let err = async {
            if let Some(pipe) = stderr {
                each_line(pipe, |line| each("stderr", line)).await;
            }
        };
        tokio::join!(out, err);
    })
}

/// Puts the next line without its end into `line`; false at the end of the file.
async fn next_line(source: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut seen = false;
    loop {
        let chunk = source.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(seen);
        }
        seen = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        line.extend_from_slice(&part[..part.len().min(MAX_LINE - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        each_line(text, |line| all.push(line.to_owned())).await;
        all
    }

    #[tokio::test]
    async fn splits_at_line_ends() {
        assert_eq!(lines(b"a\n\nb\r\nlast").await, ["a", "", "b", "last"]);
        assert_eq!(lines(b"").await, [""; 0]);
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_the_next_is_whole() {
        let text = ["x".repeat(5 * MAX_LINE), "next".to_owned()].join("\n");
        let lines = lines(text.as_bytes()).await;
        assert_eq!((lines[0].len(), lines[1].as_str()), (MAX_LINE, "next"));
    }
}
