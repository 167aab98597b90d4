//! A registered branch, as a field of its transaction's hash.
//!
//! The field's name is `#` and what no two branches have in common: of a tcc or an xa the branch id, of
//! a workflow `<length of the branch id>:<branch id><op>`. It holds `<index>;<content>`: the script
//! counts the index from 0. The content is the node's own: a letter for what it is, then
//! `<length>:<text>` for each URL (tcc: `t`, confirm and cancel; xa: `x`, the URL), or the letter of
//! the progress (workflow: `w`), then the data as it was sent. Lengths are in bytes.

use bytes::Bytes;

use crate::model::{Registered, Share};

use super::codec::{Garbled, progress_letter, progress_of};

/// With which the fields of branches begin, and no other.
const NAME_START: u8 = b'#';

/// The name of the field of `branch`.
pub(super) fn name(branch: &Registered) -> String {
    match &branch.share {
        Share::Tcc { .. } | Share::Xa { .. } => format!("#{}", branch.branch_id),
        Share::Workflow { op, .. } => {
            format!("#{}:{}{op}", branch.branch_id.len(), branch.branch_id)
        }
    }
}

/// What the field of `branch` holds after its index.
pub(super) fn pack(branch: &Registered) -> Vec<u8> {
    let mut content = Vec::with_capacity(branch.data.len() + 160);
    match &branch.share {
        Share::Tcc { confirm, cancel } => {
            content.push(b't');
            push_text(&mut content, confirm);
            push_text(&mut content, cancel);
        }
        Share::Xa { url } => {
            content.push(b'x');
            push_text(&mut content, url);
        }
        Share::Workflow { progress, .. } => {
            content.push(b'w');
            // Each of these letters is one byte.
            content.extend(progress_letter(*progress).to_string().as_bytes());
        }
    }
    content.extend_from_slice(&branch.data);
    content
}

/// The branches of `fields` (names and what they hold, by turns), in the order in which they were
/// registered.
///
/// # Errors
/// When a field is not what [`name`] and [`pack`] make, or a branch is missing.
pub(super) fn unpack_all(fields: &[Vec<u8>]) -> Result<Vec<Registered>, Garbled> {
    let (pairs, odd) = fields.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Garbled("a registered branch holds nothing"));
    }
    let mut branches = Vec::with_capacity(pairs.len());
    for [name, held] in pairs {
        branches.push(unpack(name, held)?);
    }
    branches.sort_unstable_by_key(|(index, _)| *index);
    // A state has its rows by this index.
    if branches.iter().enumerate().any(|(place, (index, _))| *index != place) {
        return Err(Garbled("a registered branch is missing"));
    }
    Ok(branches.into_iter().map(|(_, branch)| branch).collect())
}

/// A branch and its index.
fn unpack(name: &[u8], held: &[u8]) -> Result<(usize, Registered), Garbled> {
    let Some((&NAME_START, key)) = name.split_first() else {
        return Err(Garbled("the name of a registered branch"));
    };
    let (index, content) = number_and_rest(held, b';')?;
    let (kind, rest) = content.split_first().ok_or(GARBLED)?;
    let (branch_id, share, data) = match kind {
        b't' => {
            let (confirm, rest) = text_and_rest(rest)?;
            let (cancel, data) = text_and_rest(rest)?;
            (text(key)?, Share::Tcc { confirm, cancel }, data)
        }
        b'x' => {
            let (url, data) = text_and_rest(rest)?;
            (text(key)?, Share::Xa { url }, data)
        }
        b'w' => {
            let (letter, data) = rest.split_first().ok_or(GARBLED)?;
            let progress = progress_of(char::from(*letter)).ok_or(GARBLED)?;
            let (length, ids) = number_and_rest(key, b':')?;
            let (branch_id, op) = ids.split_at_checked(length).ok_or(GARBLED)?;
            (text(branch_id)?, Share::Workflow { op: text(op)?, progress }, data)
        }
        _ => return Err(GARBLED),
    };
    Ok((index, Registered { branch_id, share, data: Bytes::copy_from_slice(data) }))
}

const GARBLED: Garbled = Garbled("a registered branch");

fn push_text(content: &mut Vec<u8>, text: &str) {
    content.extend(text.len().to_string().as_bytes());
    content.push(b':');
    content.extend_from_slice(text.as_bytes());
}

fn text_and_rest(bytes: &[u8]) -> Result<(String, &[u8]), Garbled> {
    let (length, rest) = number_and_rest(bytes, b':')?;
    let (head, rest) = rest.split_at_checked(length).ok_or(GARBLED)?;
    Ok((text(head)?, rest))
}

fn number_and_rest(bytes: &[u8], end: u8) -> Result<(usize, &[u8]), Garbled> {
    let end = bytes.iter().position(|byte| *byte == end).ok_or(GARBLED)?;
    let number = std::str::from_utf8(&bytes[..end]).ok().and_then(|digits| digits.parse().ok());
    Ok((number.ok_or(GARBLED)?, &bytes[end + 1..]))
}

fn text(bytes: &[u8]) -> Result<String, Garbled> {
    String::from_utf8(bytes.to_vec()).map_err(|_| GARBLED)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::model::Progress;

    fn share() -> impl Strategy<Value = Share> {
        let progress = prop_oneof![Just(Progress::Succeeded), Just(Progress::Failed)];
        prop_oneof![
            ("(?s).{0,20}", ".{0,20}").prop_map(|(confirm, cancel)| Share::Tcc { confirm, cancel }),
            "(?s).{0,20}".prop_map(|url| Share::Xa { url }),
            ("[a-z]{1,10}", progress).prop_map(|(op, progress)| Share::Workflow { op, progress }),
        ]
    }

    fn branch() -> impl Strategy<Value = Registered> {
        ("(?s).{1,20}", share(), vec(any::<u8>(), 0..60)).prop_map(|(branch_id, share, data)| {
            Registered { branch_id, share, data: Bytes::from(data) }
        })
    }

    /// What the script stores of `branch`.
    fn field(index: usize, branch: &Registered) -> [Vec<u8>; 2] {
        let mut held = format!("{index};").into_bytes();
        held.extend(pack(branch));
        [name(branch).into_bytes(), held]
    }

    proptest! {
        #[test]
        fn branches_are_read_as_they_were_registered(
            branches in vec(branch(), 0..8),
            turn in any::<prop::sample::Index>(),
        ) {
            let mut fields: Vec<_> =
                branches.iter().enumerate().map(|(index, branch)| field(index, branch)).collect();
            // A hash answers its fields in no order.
            if !fields.is_empty() {
                let by = turn.index(fields.len());
                fields.rotate_left(by);
            }
            prop_assert_eq!(unpack_all(&fields.concat()), Ok(branches));
        }

        #[test]
        fn garbage_is_refused_and_never_panics(fields in vec(vec(any::<u8>(), 0..30), 0..5)) {
            let _ = unpack_all(&fields);
        }

        #[test]
        fn damage_never_panics(
            branch in branch(), at in 0_usize..60, with in any::<u8>(), cut in 0_usize..60,
        ) {
            for of in 0..2 {
                let mut fields = field(0, &branch);
                if let Some(byte) = fields[of].get_mut(at) {
                    *byte = with;
                }
                let _ = unpack_all(&fields);
                fields[of].truncate(cut);
                let _ = unpack_all(&fields);
            }
        }
    }

    #[test]
    fn the_form_stays_as_it_is() {
        // What older nodes stored is read by newer ones: this form can only be added to.
        let form = |branch_id: &str, share, data: &'static str| {
            let data = Bytes::from_static(data.as_bytes());
            let branch = Registered { branch_id: branch_id.to_owned(), share, data };
            let content = String::from_utf8(pack(&branch)).unwrap();
            (name(&branch), content)
        };
        let told = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        let tcc = Share::Tcc { confirm: "http://h/ü".to_owned(), cancel: String::new() };
        assert_eq!(form("01", tcc, "{}"), told("#01", "t11:http://h/ü0:{}"));
        let xa = Share::Xa { url: "u".to_owned() };
        assert_eq!(form("0;1", xa, ""), told("#0;1", "x1:u"));
        let step = Share::Workflow { op: "action".to_owned(), progress: Progress::Failed };
        assert_eq!(form("01", step, "no"), told("#2:01action", "wfno"));
    }

    #[test]
    fn no_two_steps_of_a_workflow_have_one_name() {
        let step = |branch_id: &str, op: &str| {
            let share = Share::Workflow { op: op.to_owned(), progress: Progress::Succeeded };
            name(&Registered { branch_id: branch_id.to_owned(), share, data: Bytes::new() })
        };
        assert_ne!(step("0", "1try"), step("01", "try"));
        assert_ne!(step("2:0", "try"), step("2", ":0try"));
    }

    #[test]
    fn a_branch_that_is_missing_is_noticed() {
        let xa = |index| {
            let share = Share::Xa { url: String::new() };
            let branch = Registered { branch_id: format!("{index}"), share, data: Bytes::new() };
            field(index, &branch)
        };
        let gone = Garbled("a registered branch is missing");
        assert_eq!(unpack_all(&[xa(0), xa(2)].concat()), Err(gone));
        assert_eq!(unpack_all(&[xa(1), xa(1)].concat()), Err(gone));
        assert!(unpack_all(&xa(0)[..1]).is_err());
    }
}
