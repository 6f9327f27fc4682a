//! The rounds of SHA-1 and SHA-256 (FIPS 180-4 section 6) over vectors that hold one word of every input.
//!
//! Macros, so that each kernel compiles them with its own instructions: they call the `add`, `rotate_left::<N>` and so on that the
//! kernel defines. Every index is a constant, so the schedule stays in registers.

/// The constants of SHA-1, for 20 rounds each.
pub(super) const SHA1_K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// The constants of SHA-256.
pub(super) const SHA256_K: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// One block of SHA-1: `$state` has five vectors of chaining words, `$w` sixteen of the block's words and is used up, `$k` the
/// constants.
macro_rules! sha1_block {
    ($state:ident, $w:ident, $k:ident) => {
        let before = $state;
        sha1_block!(@ choose, ($k[0]), $state, $w; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        sha1_block!(@ xor3, ($k[1]), $state, $w; 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        sha1_block!(@ majority, ($k[2]), $state, $w; 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
        sha1_block!(@ xor3, ($k[3]), $state, $w; 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        for (word, before) in $state.iter_mut().zip(before) {
            *word = add(*word, before);
        }
    };
    (@ $f:ident, ($k:expr), $s:ident, $w:ident; $($t:literal)*) => { $(
        if $t >= 16 {
            let mixed = xor3($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
            $w[$t % 16] = rotate_left::<1>(xor(mixed, $w[$t % 16]));
        }
        // The sum that does not wait for the round before stands apart.
        let early = add(add($s[4], $k), $w[$t % 16]);
        let next = add(rotate_left::<5>($s[0]), add($f($s[1], $s[2], $s[3]), early));
        $s = [next, $s[0], rotate_left::<30>($s[1]), $s[2], $s[3]];
    )* };
}

/// One block of SHA-256: `$state` has eight vectors of chaining words, `$w` sixteen of the block's words and is used up.
macro_rules! sha256_block {
    ($state:ident, $w:ident) => {
        let before = $state;
        sha256_block!(@ $state, $w; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        sha256_block!(@ $state, $w; 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        sha256_block!(@ $state, $w; 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        sha256_block!(@ $state, $w; 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
        for (word, before) in $state.iter_mut().zip(before) {
            *word = add(*word, before);
        }
    };
    (@ $s:ident, $w:ident; $($t:literal)*) => { $(
        if $t >= 16 {
            let (far, near) = ($w[($t + 1) % 16], $w[($t + 14) % 16]);
            let small0 = xor3(rotate_right::<7>(far), rotate_right::<18>(far), shift_right::<3>(far));
            let small1 = xor3(rotate_right::<17>(near), rotate_right::<19>(near), shift_right::<10>(near));
            $w[$t % 16] = add(add($w[$t % 16], small0), add($w[($t + 9) % 16], small1));
        }
        let [a, b, c, d, e, f, g, h] = $s;
        let early = add(add(h, splat(SHA256_K[$t])), $w[$t % 16]);
        let big1 = xor3(rotate_right::<6>(e), rotate_right::<11>(e), rotate_right::<25>(e));
        let first = add(add(early, choose(e, f, g)), big1);
        let big0 = xor3(rotate_right::<2>(a), rotate_right::<13>(a), rotate_right::<22>(a));
        let second = add(big0, majority(a, b, c));
        $s = [add(first, second), a, b, c, add(d, first), e, f, g];
    )* };
}

pub(super) use {sha1_block, sha256_block};
