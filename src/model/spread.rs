//! Which of several places a text belongs to, always the same one.

/// A number below `places` (0 where there are none) for `text`: evenly spread, and for ever the
/// same. What is stored is found by it.
pub fn spread(text: &str, places: usize) -> usize {
    // The upper half of hash × places: even for any number of places.
    let product = u128::from(stable_hash(text)) * places as u128;
    usize::try_from(product >> 64).unwrap_or(0)
}

/// FNV-1a of 64 bits, then the finishing steps of `MurmurHash3`, without which short texts that
/// differ in their last letters would share their upper bits.
///
/// Stored transactions are found by it: it can never be changed.
pub fn stable_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
