//! What containers and commands said last.
use super::errors::Failure;
use super::wire::{self, encoded};
use crate::domain::container::ContainerId;
use crate::runtime::LAST_WORDS;
use std::path::Path;

/// Lines asked for: a stack trace says in its last ones what it was about.
const LINES: u32 = 5;

/// Podman sends frames: stream, three zeros, length (big endian), and so many bytes.
const HEADER: usize = 8;

pub(super) async fn last(socket: &Path, id: &ContainerId) -> Result<String, Failure> {
    let path = format!("/containers/{}/logs?stdout=true&stderr=true&tail={LINES}", encoded(id.as_str()));
    match wire::get_bytes(socket, &path).await {
        Ok(body) => Ok(one_line(&unframed(&body))),
        // Its log driver keeps nothing, or the file is gone: then there are no last words.
        Err(Failure::Status { .. }) => Ok(String::new()),
        Err(failure) => Err(failure),
    }
}

fn unframed(body: &[u8]) -> Vec<u8> {
    let (mut said, mut rest) = (Vec::new(), body);
    while let Some((header, more)) = rest.split_at_checked(HEADER) {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let (frame, after) = more.split_at(length.min(more.len()));
        said.extend_from_slice(frame);
        rest = after;
    }
    said
}

/// Forgets all but the end.
pub(super) fn keep_end(said: &mut Vec<u8>) {
    // Spaces are folded later: a little more than is shown in the end.
    let surplus = said.len().saturating_sub(2 * LAST_WORDS);
    said.drain(..surplus);
}

/// The end of it, spaces and line ends folded, and no control characters.
pub(super) fn one_line(said: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(said).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let begin = line.ceil_char_boundary(line.len().saturating_sub(LAST_WORDS));
    line[begin..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_one_line_with_the_end_of_what_was_said() {
        let frame = |stream: u8, text: &str| {
            let mut frame = vec![stream, 0, 0, 0];
            frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            frame.extend(text.as_bytes());
            frame
        };
        let body = [frame(1, "first\n"), frame(2, "\u{1b}[31mpanic:\tno table\n")].concat();
        assert_eq!(one_line(&unframed(&body)), "first [31mpanic: no table");
        let long = one_line(&unframed(&frame(1, &format!("{}é end", "x".repeat(500)))));
        assert!(long.len() <= LAST_WORDS && long.ends_with("é end"), "{long}");
    }

    #[test]
    fn an_answer_that_was_cut_off_or_is_no_frame_ends_nothing() {
        for body in [&b""[..], b"short", &[1, 0, 0, 0, 255, 255, 255, 255, b'a'], &[255; 100]] {
            one_line(&unframed(body));
        }
    }
}
