//! The packed state, there and back, and from garbage.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::model::{Gid, Registered, StepUrls};

const CREATED_AT: Timestamp = Timestamp::from_us(1_800_000_000_123_456);

/// A message of as many rows.
fn message(rows: usize) -> Spec {
    Spec {
        steps: vec![StepUrls::default(); rows],
        payloads: vec![Bytes::new(); rows],
        ..Spec::new(Gid::new("g").unwrap(), Mode::Message)
    }
}

fn packed(status: Status, not_before: Option<Timestamp>, rest: &str) -> String {
    let not_before = not_before.map_or_else(String::new, |at| at.as_us().to_string());
    format!("{}mnode:1e;7;node:1f;{not_before};1800000000999999;{rest}", status.letter())
}

fn row() -> impl Strategy<Value = Row> {
    let progress = prop_oneof![
        Just(Progress::NotStarted),
        Just(Progress::MayHaveRun),
        Just(Progress::Succeeded),
        Just(Progress::Failed),
    ];
    (progress, option::weighted(0.9, 0_u64..10_000_000_000)).prop_map(|(progress, ms)| {
        let finished_at = ms
            .filter(|_| is_finished(progress))
            .map(|ms| CREATED_AT.plus(Duration::from_millis(ms)));
        Row { progress, finished_at }
    })
}

proptest! {
    #[test]
    fn a_state_is_read_as_it_was_written(
        rows in vec(row(), 0..40),
        error_rounds in any::<u32>(),
        last_error in option::of("(?s).{1,60}"),
        reason in option::of(".{1,60}"),
        not_before in option::of(0_u64..(1 << 53)),
        status in 0..Status::ALL.len(),
    ) {
        let not_before = not_before.map(Timestamp::from_us);
        let status = Status::ALL[status];
        let state = State { status, rows, error_rounds, not_before, reason, last_error };
        let text = packed(status, not_before, &pack_rest(&state, CREATED_AT));
        let read = Packed::read(text.as_bytes()).unwrap();
        prop_assert_eq!(read.n, 7);
        prop_assert!(read.is_large && read.is_held);
        prop_assert_eq!(read.written_at, Timestamp::from_us(1_800_000_000_999_999));
        let again = read.state(&message(state.rows.len()), CREATED_AT, state.reason.clone()).unwrap();
        prop_assert_eq!(again, state);
    }

    #[test]
    fn garbage_is_refused_and_never_panics(bytes in vec(any::<u8>(), 0..80), rows in 0_usize..5) {
        if let Ok(read) = Packed::read(&bytes) {
            let _ = read.state(&message(rows), CREATED_AT, None);
        }
    }

    #[test]
    fn damage_never_panics(at in 0_usize..60, with in any::<char>(), rows in 0_usize..5) {
        let mut text: Vec<char> =
            packed(Status::Submitted, Some(CREATED_AT), "nmsf;1z.;12;an error").chars().collect();
        if let Some(place) = text.get_mut(at) {
            *place = with;
        }
        let text: String = text.into_iter().collect();
        if let Ok(read) = Packed::read(text.as_bytes()) {
            let _ = read.state(&message(rows), CREATED_AT, None);
        }
    }
}

#[test]
fn the_form_is_short_and_stays_as_it_is() {
    // What older nodes stored is read by newer ones: this form can only be added to.
    let after = |ms| Some(CREATED_AT.plus(Duration::from_millis(ms)));
    let state = State {
        status: Status::Aborting,
        rows: vec![
            Row { progress: Progress::Succeeded, finished_at: after(0) },
            Row { progress: Progress::Failed, finished_at: after(71) },
            Row { progress: Progress::MayHaveRun, finished_at: None },
            Row { progress: Progress::NotStarted, finished_at: None },
        ],
        error_rounds: 3,
        not_before: None,
        reason: None,
        last_error: Some("a; b".to_owned()),
    };
    assert_eq!(pack_rest(&state, CREATED_AT), "sfmn;0.1z;3;a; b");
}

#[test]
fn each_fault_is_named() {
    let fault = |text: &str| match Packed::read(text.as_bytes()) {
        Err(garbled) => garbled.to_string(),
        Ok(read) => read.state(&message(2), CREATED_AT, None).unwrap_err().to_string(),
    };
    for (text, part) in [
        ("", "a field is missing"),
        ("SSt;1;r;;", "a field is missing"),
        ("XSt;1;r;;1;nn;;0;", "unknown status"),
        ("SYt;1;r;;1;nn;;0;", "unknown mode"),
        ("SSt;x;r;;1;nn;;0;", "its number"),
        ("SSt;1;r;;x;nn;;0;", "a time"),
        ("SSt;1;r;x;1;nn;;0;", "a time"),
        ("SSt;1;r;;1;nn;;0", "a field of its rest"),
        ("SSt;1;r;;1;nx;;0;", "unknown progress"),
        ("SSt;1;r;;1;n;;0;", "another number of rows"),
        ("SSt;1;r;;1;ss;1;0;", "a finish time is missing"),
        ("SSt;1;r;;1;sn;!;0;", "a finish time"),
        ("SSt;1;r;;1;nn;;-1;", "its error rounds"),
    ] {
        assert!(fault(text).contains(part), "{text}: {}", fault(text));
    }
}

#[test]
fn what_is_registered_after_a_state_was_stored_has_its_rows() {
    let branch = |share| Registered { branch_id: "01".to_owned(), share, data: Bytes::new() };
    let tcc = Share::Tcc { confirm: String::new(), cancel: String::new() };
    let spec =
        Spec { mode: Mode::Tcc, registered: vec![branch(tcc); 2], steps: Vec::new(), ..message(0) };
    let rows = |rest: &str, spec: &Spec| {
        let text = format!("ATt;3;r;;1;{rest}");
        let state = Packed::read(text.as_bytes()).unwrap().state(spec, CREATED_AT, None)?;
        Ok(state.rows.into_iter().map(|row| progress_letter(row.progress)).collect::<String>())
    };
    assert_eq!(rows(";;0;", &spec), Ok("nnnn".to_owned()));
    assert_eq!(rows("sn;1;0;", &spec), Ok("snnn".to_owned()));
    assert_eq!(rows("snnnnn;1;0;", &spec), Err(Garbled(OTHER_ROWS)));

    // A workflow's branch says itself how it ended.
    let step = |progress| branch(Share::Workflow { op: "action".to_owned(), progress });
    let registered = vec![step(Progress::Succeeded), step(Progress::Failed)];
    let spec = Spec { mode: Mode::Workflow, registered, ..message(0) };
    assert_eq!(rows(";;0;", &spec), Ok("sf".to_owned()));
    assert_eq!(rows("f;1;0;", &spec), Ok("sf".to_owned()));
}
