//! Reads a participant's answer.

use ::http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};
use bytes::Bytes;
use memchr::memmem;

use crate::model::{BranchCall, Outcome, REASON_BYTES_MAX, clip};

use super::json_rpc::{self, RpcAnswer};

const ONGOING: &[u8] = b"ONGOING";
const FAILURE: &[u8] = b"FAILURE";

/// A word that begins in one piece of a body may go on for this long in the next.
const OVERLAP: usize = ONGOING.len() - 1;

/// The URL's share of a rollback reason, so that a long one leaves room for the answer.
const URL_BYTES_MAX: usize = REASON_BYTES_MAX / 2;

/// What is remembered of a body of any length: whether the words that decide stand in it, and its
/// beginning.
#[derive(Debug, Default)]
pub(super) struct Answer {
    ongoing: bool,
    failure: bool,
    /// At most [`REASON_BYTES_MAX`] bytes.
    head: Bytes,
    /// The end of what was read so far, at most [`OVERLAP`] bytes.
    tail: Bytes,
    /// The body was compressed, unasked: what it says is not known.
    is_encoded: bool,
    /// The body as a whole, where the answer is one of JSON-RPC.
    rpc: Option<RpcAnswer>,
}

impl Answer {
    /// The answer to `call` that begins with `headers`; its body is still to be read.
    pub(super) fn of(call: &BranchCall<'_>, headers: &HeaderMap) -> Self {
        let is_rpc = json_rpc::is_spoken(call.url, call.protocol);
        Self { rpc: is_rpc.then(RpcAnswer::default), ..Self::with_headers(headers) }
    }

    fn with_headers(headers: &HeaderMap) -> Self {
        let is_encoded = headers.get(CONTENT_ENCODING).is_some_and(|encoding| {
            !encoding.is_empty() && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        });
        Self { is_encoded, ..Self::default() }
    }

    /// Reads the next piece of the body.
    pub(super) fn read(&mut self, piece: &Bytes) {
        if piece.is_empty() {
            return;
        }
        self.look_at(piece);
        if let Some(rpc) = &mut self.rpc {
            rpc.read(piece);
        }
        if self.head.is_empty() {
            // Nearly every answer is one piece: nothing is copied, and no word can be cut.
            self.head = piece.slice(..piece.len().min(REASON_BYTES_MAX));
            self.tail = piece.slice(piece.len().saturating_sub(OVERLAP)..);
            return;
        }
        let mut seam = [&self.tail, &piece[..piece.len().min(OVERLAP)]].concat();
        self.look_at(&seam);
        self.tail = Bytes::from(seam.split_off(seam.len().saturating_sub(OVERLAP)));
        if piece.len() > OVERLAP {
            self.tail = piece.slice(piece.len() - OVERLAP..);
        }
        let room = REASON_BYTES_MAX - self.head.len();
        if room > 0 {
            let more = &piece[..piece.len().min(room)];
            self.head = [&self.head, more].concat().into();
        }
    }

    /// What the answer means, in the protocol's order (protocol details, section 2.3): the words
    /// count whatever the status, and unfinished comes before refused.
    pub(super) fn outcome(&self, status: StatusCode, url: &str) -> Outcome {
        if status == StatusCode::TOO_EARLY || self.ongoing {
            Outcome::Ongoing
        } else if status == StatusCode::CONFLICT || self.failure {
            Outcome::Failure(self.reason(url))
        } else if status == StatusCode::OK && self.is_encoded {
            // It may say that it was refused, so it must not pass for done.
            Outcome::Unknown("answered in an encoding that was not asked for".to_owned())
        } else if status == StatusCode::OK {
            self.rpc.as_ref().map_or(Outcome::Success, |rpc| rpc.outcome(|| self.reason(url)))
        } else {
            Outcome::Unknown(format!("answered with status {}", status.as_u16()))
        }
    }

    fn look_at(&mut self, piece: &[u8]) {
        self.ongoing = self.ongoing || memmem::find(piece, ONGOING).is_some();
        self.failure = self.failure || memmem::find(piece, FAILURE).is_some();
    }

    /// Clients look for the refusal's text and for the word in the rollback reason, so both are in
    /// it however long the answer is.
    fn reason(&self, url: &str) -> String {
        const BEFORE: &str = "url:";
        const BETWEEN: &str = " return failed: ";
        const AFTER: &str = " FAILURE";
        let url = clip(url, URL_BYTES_MAX);
        let body = String::from_utf8_lossy(&self.head);
        let body_bytes_max =
            REASON_BYTES_MAX - BEFORE.len() - url.len() - BETWEEN.len() - AFTER.len();
        [BEFORE, url, BETWEEN, clip(&body, body_bytes_max), AFTER].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://h/a";

    fn outcome(status: u16, body: &str) -> Outcome {
        let mut answer = Answer::default();
        answer.read(&Bytes::copy_from_slice(body.as_bytes()));
        answer.outcome(StatusCode::from_u16(status).unwrap(), URL)
    }

    fn refused(body: &str) -> Outcome {
        Outcome::Failure(format!("url:{URL} return failed: {body} FAILURE"))
    }

    #[test]
    fn words_and_statuses_are_read_in_the_protocols_order() {
        let error = |status: u16| Outcome::Unknown(format!("answered with status {status}"));
        for (status, body, expected) in [
            (200, "", Outcome::Success),
            (200, "{\"dtm_result\":\"SUCCESS\"}", Outcome::Success),
            (200, "no json, ongoing, failure", Outcome::Success),
            (425, "", Outcome::Ongoing),
            (425, "FAILURE", Outcome::Ongoing),
            (200, "it is ONGOING", Outcome::Ongoing),
            (409, "ONGOING", Outcome::Ongoing),
            (500, "FAILURE ONGOING", Outcome::Ongoing),
            (409, "Insufficient balance", refused("Insufficient balance")),
            (409, "", refused("")),
            (200, "a FAILURE", refused("a FAILURE")),
            (500, "xFAILUREx", refused("xFAILUREx")),
            (201, "", error(201)),
            (204, "", error(204)),
            (299, "SUCCESS", error(299)),
            (302, "", error(302)),
            (400, "", error(400)),
            (404, "", error(404)),
            (500, "Failure", error(500)),
        ] {
            assert_eq!(outcome(status, body), expected, "of {status} {body:?}");
        }
    }

    #[test]
    fn a_word_is_found_however_the_body_is_cut() {
        let body = b"some text, then FAILURE, and more";
        for size in 1..body.len() {
            let mut answer = Answer::default();
            for piece in body.chunks(size) {
                answer.read(&Bytes::copy_from_slice(piece));
                answer.read(&Bytes::new());
            }
            let outcome = answer.outcome(StatusCode::OK, URL);
            assert_eq!(outcome, refused("some text, then FAILURE, and more"), "in {size}s");
        }
        let mut answer = Answer::default();
        for piece in ["FAIL", "x", "URE", "ONGO", "", "ING"] {
            answer.read(&Bytes::from_static(piece.as_bytes()));
        }
        assert!(answer.ongoing && !answer.failure, "only the word that stands in it");
    }

    #[test]
    fn a_long_refusal_keeps_its_beginning_and_its_word() {
        let long = "ü".repeat(3_000);
        let url = format!("http://h/{long}");
        let mut answer = Answer::default();
        answer.read(&Bytes::from(format!("Insufficient balance {long}")));
        let Outcome::Failure(reason) = answer.outcome(StatusCode::CONFLICT, &url) else {
            panic!("refused")
        };
        assert!(reason.len() <= REASON_BYTES_MAX);
        assert!(reason.starts_with("url:http://h/ü"));
        assert!(reason.contains(" return failed: Insufficient balance ü"));
        assert!(reason.ends_with("ü FAILURE"));
    }

    #[test]
    fn a_compressed_answer_is_not_taken_for_done() {
        let outcome = |encoding: &'static str, status| {
            let encoding = (CONTENT_ENCODING, ::http::HeaderValue::from_static(encoding));
            Answer::with_headers(&HeaderMap::from_iter([encoding])).outcome(status, URL)
        };
        assert!(matches!(outcome("gzip", StatusCode::OK), Outcome::Unknown(_)));
        assert_eq!(outcome("gzip", StatusCode::TOO_EARLY), Outcome::Ongoing);
        assert!(matches!(outcome("gzip", StatusCode::CONFLICT), Outcome::Failure(_)));
        assert_eq!(outcome("Identity", StatusCode::OK), Outcome::Success);
    }

    #[test]
    fn bytes_that_are_no_text_are_read_too() {
        let mut answer = Answer::default();
        answer.read(&Bytes::from_static(b"\xff\xfeFAILURE"));
        let outcome = answer.outcome(StatusCode::OK, URL);
        assert_eq!(outcome, refused("\u{fffd}\u{fffd}FAILURE"));
    }
}
