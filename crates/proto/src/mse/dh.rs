//! The Diffie-Hellman exchange of MSE: 768 bits, generator 2.
//!
//! Not constant in time, and not meant to be: a key lives for one handshake, and what it protects is no secret. The prime is a
//! safe one, so 1 and the prime less 1 are the only numbers whose powers are few.

/// The length of a public key and of the shared secret, in bytes.
pub(super) const KEY_LENGTH: usize = 96;
/// The length of a private key in bytes.
pub(super) const SECRET_LENGTH: usize = 20;

const LIMBS: usize = KEY_LENGTH / 8;

/// A number of 768 bits, the lowest limb first.
type Number = [u64; LIMBS];

const PRIME: Number = [
    0x0000_0000_0009_0563,
    0xF44C_42E9_A63A_3621,
    0xE485_B576_625E_7EC6,
    0x4FE1_356D_6D51_C245,
    0x302B_0A6D_F25F_1437,
    0xEF95_19B3_CD3A_431B,
    0x514A_0879_8E34_04DD,
    0x020B_BEA6_3B13_9B22,
    0x2902_4E08_8A67_CC74,
    0xC4C6_628B_80DC_1CD1,
    0xC90F_DAA2_2168_C234,
    0xFFFF_FFFF_FFFF_FFFF,
];

const ZERO: Number = [0; LIMBS];
const ONE: Number = {
    let mut one = ZERO;
    one[0] = 1;
    one
};

/// Numbers are multiplied in Montgomery's form, where each stands for itself times 2^768. This is 1.
const UNIT: Number = subtract(&ZERO, &PRIME).0;
/// 2^1536 modulo the prime: a product with it brings a number into that form.
const INTO_FORM: Number = {
    let mut number = UNIT;
    let mut bit = 0;
    while bit < 64 * LIMBS {
        number = doubled(&number);
        bit += 1;
    }
    number
};
/// What makes the lowest limb of a number 0 when that many primes are added: -1 / prime modulo 2^64, by Newton's steps.
const INVERSE: u64 = {
    let mut inverse = 1u64;
    let mut bits = 1;
    while bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(PRIME[0].wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse.wrapping_neg()
};

/// One side of the exchange.
pub(super) struct KeyPair {
    secret: [u8; SECRET_LENGTH],
    public: [u8; KEY_LENGTH],
}

impl KeyPair {
    pub(super) fn new(secret: [u8; SECRET_LENGTH]) -> Self {
        let mut two = ZERO;
        two[0] = 2;
        Self { secret, public: to_bytes(&power(&two, &secret)) }
    }

    /// What the other side is sent.
    pub(super) fn public(&self) -> &[u8; KEY_LENGTH] {
        &self.public
    }

    /// The secret that both sides come to; `None` if the other's key is 0, 1, the prime less 1, or no remainder of the prime.
    pub(super) fn shared(&self, theirs: &[u8; KEY_LENGTH]) -> Option<[u8; KEY_LENGTH]> {
        let theirs = from_bytes(theirs);
        let last = subtract(&PRIME, &ONE).0;
        let weak = theirs == ZERO || theirs == ONE || !subtract(&theirs, &last).1;
        (!weak).then(|| to_bytes(&power(&theirs, &self.secret)))
    }
}

fn from_bytes(bytes: &[u8; KEY_LENGTH]) -> Number {
    let mut number = ZERO;
    for (limb, bytes) in number.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_be_bytes(bytes.try_into().expect("chunks of 8"));
    }
    number
}

fn to_bytes(number: &Number) -> [u8; KEY_LENGTH] {
    let mut bytes = [0; KEY_LENGTH];
    for (limb, bytes) in number.iter().rev().zip(bytes.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// The difference, and whether it is below zero.
const fn subtract(a: &Number, b: &Number) -> (Number, bool) {
    let mut difference = ZERO;
    let mut borrow = false;
    let mut at = 0;
    while at < LIMBS {
        let (first, under) = a[at].overflowing_sub(b[at]);
        let (second, under_again) = first.overflowing_sub(borrow as u64);
        difference[at] = second;
        borrow = under || under_again;
        at += 1;
    }
    (difference, borrow)
}

/// Twice a remainder of the prime, as a remainder.
const fn doubled(number: &Number) -> Number {
    let mut double = ZERO;
    let mut carry = 0;
    let mut at = 0;
    while at < LIMBS {
        double[at] = number[at] << 1 | carry;
        carry = number[at] >> 63;
        at += 1;
    }
    reduced(&double, carry)
}

/// A number below twice the prime, its bit 768 in `over`, as a remainder.
const fn reduced(number: &Number, over: u64) -> Number {
    let (less, under) = subtract(number, &PRIME);
    if over == 1 || !under { less } else { *number }
}

/// The product of two numbers in Montgomery's form, in that form: limb by limb, each followed by one step of the division.
fn multiply(a: &Number, b: &Number) -> Number {
    let mut sum = [0; LIMBS];
    let mut over = 0u64;
    for &limb in a {
        let top = add_product(&mut sum, limb, b);
        let quotient = sum[0].wrapping_mul(INVERSE);
        let more = add_product(&mut sum, quotient, &PRIME);
        debug_assert_eq!(sum[0], 0);
        sum.copy_within(1.., 0);
        let (high, carry) = top.overflowing_add(over);
        let (high, carry_again) = high.overflowing_add(more);
        sum[LIMBS - 1] = high;
        over = u64::from(carry) + u64::from(carry_again);
    }
    reduced(&sum, over)
}

/// Adds `factor * number`; what goes over the top.
fn add_product(sum: &mut Number, factor: u64, number: &Number) -> u64 {
    let mut carry = 0;
    for (limb, other) in sum.iter_mut().zip(number) {
        let (low, high) = parts(u128::from(factor) * u128::from(*other) + u128::from(*limb) + u128::from(carry));
        *limb = low;
        carry = high;
    }
    carry
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn parts(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

/// `base ^ exponent` modulo the prime, four bits of the exponent at a time. `base` is a remainder of the prime.
fn power(base: &Number, exponent: &[u8; SECRET_LENGTH]) -> Number {
    let mut powers = [UNIT; 16];
    powers[1] = multiply(base, &INTO_FORM);
    for at in 2..16 {
        powers[at] = multiply(&powers[at - 1], &powers[1]);
    }
    let mut result = UNIT;
    for digit in exponent.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        for _ in 0..4 {
            result = multiply(&result, &result);
        }
        result = multiply(&result, &powers[usize::from(digit)]);
    }
    multiply(&result, &ONE)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Computed with another program's big numbers, as the other constants of these tests.
    const PUBLIC_A: &str = "96e112dab29e8c5272accb9b17b26887ce54a144a4e3b697c7d159b7a817e556b0918db2b4c658e02a87f7e5fb14b18a553e084cbf3dad2d30f16596ccb982d406258c61b30c5c1dae2ddc60bdbd48d79896312aad63238c39e1a633821eb693";
    const PUBLIC_B: &str = "8f562741c6ccfd456d848c7655bdab6469b509a78f7ec72ed0f2ff5c96364ef6695ad9ba806b565650e08a05802ca8ad739f51dde1f7bf9cd0cceda29478445637743d2dd212526cbc24790f6df3ac88d8b1bc8320af443fe75edb807f3bd7c5";
    pub(in super::super) const SHARED: &str = "ce17231bfc8346c19ee2aef13b8ba9db4fd4cce722698acfcf175df0c1cda51bd8d8c3239da408d05fe475e31fdc2a5401955a4270c5e5fcb9d8317f0e5c74ba78325b9d2c6a8bf5dc67465d64d771980757300a65cdaed7bb2172eb594d5171";

    pub(in super::super) fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex digits"))
    }

    fn pairs() -> (KeyPair, KeyPair) {
        let counted = |at: usize| at.to_le_bytes()[0];
        (
            KeyPair::new(std::array::from_fn(|at| counted(at) + 1)),
            KeyPair::new(std::array::from_fn(|at| 0xff - counted(at))),
        )
    }

    /// Every product from first principles: doubling and adding, one bit at a time.
    fn slow_product(a: &Number, b: &Number) -> Number {
        let mut product = ZERO;
        for bit in (0..64 * LIMBS).rev() {
            product = doubled(&product);
            if b[bit / 64] >> (bit % 64) & 1 == 1 {
                // a + p - (p - a) without a sum that goes over.
                let (short, _) = subtract(&PRIME, a);
                let (sum, under) = subtract(&product, &short);
                product = if under { reduced(&subtract(&sum, &subtract(&ZERO, &PRIME).0).0, 0) } else { sum };
            }
        }
        product
    }

    #[test]
    fn known_keys_and_their_secret() {
        let (a, b) = pairs();
        assert_eq!(*a.public(), hex(PUBLIC_A));
        assert_eq!(*b.public(), hex(PUBLIC_B));
        assert_eq!(a.shared(b.public()), Some(hex(SHARED)));
        assert_eq!(b.shared(a.public()), Some(hex(SHARED)));
    }

    #[test]
    fn powers_at_the_edges() {
        let two_less = subtract(&subtract(&PRIME, &ONE).0, &ONE).0;
        let all = "016553ebd09b52b26d455c7162c744d1fdbc83ed348587ee7683c199b242bbb8aa768ed9578430d1cc909edacae9019f1df43ddeafca1bcf30ea5c24b352316992a4780d17885acb65cea84c6d8591cb31e9efd2fe8c1c13c299fa0fbf9d57ea";
        assert_eq!(to_bytes(&power(&two_less, &[0xff; SECRET_LENGTH])), hex(all));
        assert_eq!(power(&two_less, &[0; SECRET_LENGTH]), ONE);
        let mut one = [0; SECRET_LENGTH];
        one[SECRET_LENGTH - 1] = 1;
        assert_eq!(power(&two_less, &one), two_less);
        assert_eq!(power(&subtract(&PRIME, &ONE).0, &[0xff; SECRET_LENGTH]), subtract(&PRIME, &ONE).0);
    }

    #[test]
    fn p26_weak_keys_are_refused() {
        let (a, _) = pairs();
        let prime = to_bytes(&PRIME);
        let with_last = |bytes: [u8; KEY_LENGTH], last: u8| {
            let mut bytes = bytes;
            bytes[KEY_LENGTH - 1] = last;
            bytes
        };
        let zero = [0; KEY_LENGTH];
        for weak in
            [zero, with_last(zero, 1), with_last(prime, 0x62), prime, with_last(prime, 0x64), [0xff; KEY_LENGTH]]
        {
            assert_eq!(a.shared(&weak), None, "{weak:x?}");
        }
        assert!(a.shared(&with_last(zero, 2)).is_some());
        assert!(a.shared(&with_last(prime, 0x61)).is_some());
    }

    proptest! {
        #[test]
        fn products_as_from_first_principles(a: [u64; LIMBS], b: [u64; LIMBS]) {
            let (a, b) = (reduced(&a, 0), reduced(&b, 0));
            let product = multiply(&multiply(&a, &INTO_FORM), &b);
            prop_assert_eq!(product, slow_product(&a, &b));
        }

        #[test]
        fn both_sides_come_to_one_secret(a: [u8; SECRET_LENGTH], b: [u8; SECRET_LENGTH]) {
            let (a, b) = (KeyPair::new(a), KeyPair::new(b));
            prop_assert_eq!(a.shared(b.public()), b.shared(a.public()));
        }
    }
}
