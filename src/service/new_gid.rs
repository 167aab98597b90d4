//! Gids for clients that ask for one.

use uuid::Uuid;

/// The letters of a short UUID, without those that look alike (protocol details, section 0).
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// 57^22 is the first power of 57 above 2^128.
const LETTERS: usize = 22;

/// A new id of 22 letters that sorts by the time of its making.
pub(super) fn new_gid() -> String {
    encode(Uuid::now_v7().as_u128())
}

fn encode(mut number: u128) -> String {
    let mut letters = [ALPHABET[0]; LETTERS];
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET[(number % 57) as usize];
        number /= 57;
    }
    letters.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_22_letters_and_keeps_the_order_of_numbers() {
        assert_eq!(encode(0), "2".repeat(22));
        assert_eq!(encode(u128::MAX).len(), 22);
        assert!(encode(56) < encode(57) && encode(u128::MAX - 1) < encode(u128::MAX));
        assert_ne!(new_gid(), new_gid());
    }
}
