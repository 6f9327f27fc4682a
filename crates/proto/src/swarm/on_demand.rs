//! State that a torrent at rest does without.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// State that takes no room before it is changed for the first time: thousands of torrents rest, and few have company. Until then
/// it reads as [`Rested::RESTED`].
#[derive(Debug)]
pub(super) struct OnDemand<T>(Option<Box<T>>);

/// What state is that nothing has changed yet.
pub(super) trait Rested: Default + 'static {
    /// The same as the default, where it costs nothing to have it.
    const RESTED: &'static Self;
}

impl<T: Ord + 'static> Rested for BTreeSet<T> {
    const RESTED: &'static Self = &Self::new();
}

impl<K: Ord + 'static, V: 'static> Rested for BTreeMap<K, V> {
    const RESTED: &'static Self = &Self::new();
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Rested> Deref for OnDemand<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::RESTED)
    }
}

impl<T: Rested> OnDemand<T> {
    /// To change it; made if need be.
    pub(super) fn need(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// To change what there is, if there is anything.
    pub(super) fn made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives its room back if `over` says that nothing is left of it.
    pub(super) fn rest_if(&mut self, over: impl FnOnce(&T) -> bool) {
        self.0.take_if(|state| over(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_nothing_until_it_is_needed_and_again_when_it_is_over() {
        let mut set = OnDemand::<BTreeSet<u8>>::default();
        assert_eq!(size_of_val(&set), size_of::<usize>());
        assert!(set.is_empty() && set.made().is_none());
        set.need().insert(7);
        set.rest_if(BTreeSet::is_empty);
        assert!(set.contains(&7));
        set.need().clear();
        set.rest_if(BTreeSet::is_empty);
        assert!(set.made().is_none() && !set.contains(&7));
    }
}
